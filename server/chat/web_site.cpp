#include "server/chat/web_site.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/chat/json_conversation.hpp"
#include "server/chat/json_face.hpp"
#include "server/chat/json_text.hpp"
#include "server/chat/record.hpp"
#include "server/chat/refusals.hpp"
#include "server/chat/web_files.hpp"
#include "server/wire/websocket_handshake.hpp"

namespace confab::chat {

namespace {

// The page needs its own files and its own socket, and nothing else: so nothing else is allowed to it, should
// it ever be made to ask.
constexpr std::string_view page_headers =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cache-Control: no-cache\r\n";

// What a room's messages are found at.
constexpr std::string_view rooms_begin = "/api/rooms/";
constexpr std::string_view messages_end = "/messages";
constexpr std::uint64_t usual_messages = 50;

// What a client may ask of a room's messages.
struct Wish {
    std::uint64_t after = 0;
    std::uint64_t before = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t count = usual_messages;
    bool forward = false;  // from `after` on, and not up to the end
};

std::optional<Wish> wish_from(std::string_view query) {
    Wish wish;
    while (!query.empty()) {
        const std::string_view each = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(each.size() + 1, query.size()));
        const std::string_view name = each.substr(0, each.find('='));
        const std::string_view number = each.substr(std::min(name.size() + 1, each.size()));
        std::uint64_t* const value = name == "after"    ? &wish.after
                                     : name == "before" ? &wish.before
                                     : name == "count"  ? &wish.count
                                                        : nullptr;
        if (value == nullptr) return std::nullopt;
        const auto [end, fault] = std::from_chars(number.begin(), number.end(), *value);
        if (fault != std::errc() || end != number.end()) return std::nullopt;
        if (name == "after") wish.forward = true;
    }
    return wish;
}

// A part of a path as it is meant; nothing when it means nothing.
std::optional<std::string> decoded(std::string_view part) {
    std::string text;
    while (!part.empty()) {
        if (part.front() != '%') {
            text += part.front();
            part.remove_prefix(1);
            continue;
        }
        unsigned code = 0;
        const std::string_view digits = part.substr(1, 2);
        const auto [end, fault] = std::from_chars(digits.begin(), digits.end(), code, 16);
        if (digits.size() < 2 || fault != std::errc() || end != digits.end()) return std::nullopt;
        text += static_cast<char>(code);
        part.remove_prefix(3);
    }
    return text;
}

HttpAnswer refuse_api(unsigned status, std::string_view code) {
    std::string json;
    json_append(json, "{\"code\":\"", code, "\"}\n");
    return {.status = status, .type = "application/json", .body = std::move(json)};
}

}  // namespace

HttpAnswer WebSite::answer(const wire::HttpRequestParser& request) {
    const std::string_view target = request.target();
    const std::string_view path = target.substr(0, target.find('?'));
    if (path == "/ws") return open_socket(request);
    const bool api = path.starts_with(rooms_begin) && path.ends_with(messages_end) &&
                     path.size() > rooms_begin.size() + messages_end.size();
    const auto file = std::ranges::find(web_files(), path, &WebFile::target);
    if (!api && file == web_files().end()) return refuse(404, "there is nothing here");
    if (request.method() != wire::HttpMethod::get && request.method() != wire::HttpMethod::head)
        return refuse(405, "this can only be read", "Allow: GET, HEAD\r\n");
    if (api) {
        const std::string_view room =
            path.substr(rooms_begin.size(), path.size() - rooms_begin.size() - messages_end.size());
        return messages(room, target.substr(std::min(path.size() + 1, target.size())));
    }
    std::string headers(page_headers);
    headers.append("ETag: ").append(file->tag).append("\r\n");
    if (request.has_token("if-none-match", file->tag))
        return {.status = 304, .type = file->type, .headers = std::move(headers)};
    return {.type = file->type, .headers = std::move(headers), .fixed = file->bytes};
}

HttpAnswer WebSite::messages(std::string_view room, std::string_view query) {
    const std::optional<Wish> wish = wish_from(query);
    if (!wish) return refuse_api(400, "bad_query");
    const std::optional<std::string> name = decoded(room);
    const auto kept = name ? chat_.messages(*name) : std::unexpected(Refusal::no_such_room);
    if (!kept) return refuse_api(404, code(kept.error()));

    std::vector<Entry> wanted;
    for (std::span<const std::byte> records = kept->records; !records.empty();) {
        const Entry entry = take_record(records);
        if (entry.position.seq > wish->after && entry.position.seq < wish->before) wanted.push_back(entry);
    }
    const std::size_t shown = std::min<std::uint64_t>(wanted.size(), wish->count);
    const std::span<const Entry> page =
        wish->forward ? std::span(wanted).first(shown) : std::span(wanted).last(shown);
    std::string json;
    json_append(json, "{\"room\":\"", JsonText(kept->room.view()), "\",\"epoch\":\"",
                json_epoch(kept->last.epoch), "\",\"seq\":", JsonNumber(kept->last.seq), ",\"messages\":[");
    for (const Entry& entry : page) {
        if (&entry != page.data()) json += ',';
        append_json(json, entry, kept->room.view());
    }
    json += "]}\n";
    return {.type = "application/json", .headers = "Cache-Control: no-store\r\n", .body = std::move(json)};
}

// Who names no subprotocol, or none that we know, gets an answer without one, as RFC 6455 has it, and decides
// himself.
HttpAnswer WebSite::open_socket(const wire::HttpRequestParser& request) const {
    const wire::HandshakeRefusal refusal = wire::check_handshake(request, options_.origins);
    if (refusal.status != 0) return refuse(refusal.status, refusal.reason, std::string(refusal.headers));
    const bool known = request.has_token("sec-websocket-protocol", JsonConversation::protocol);
    const std::string compression = options_.compression ? wire::agree_on_deflate(request) : std::string();
    return {
        .switching = wire::accept_handshake(request, known ? JsonConversation::protocol : "", compression),
        .switching_to =
            compression.empty() ? JsonConversation::protocol : CompressedJsonConversation::protocol};
}

}  // namespace confab::chat
