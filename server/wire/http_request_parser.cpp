#include "server/wire/http_request_parser.hpp"

#include <llhttp.h>

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace confab::wire {

namespace {

// Chunked, a body may take this much more than twice its bytes.
constexpr std::size_t chunk_allowance = 4096;

std::string_view trimmed(std::string_view text) {
    text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
    return text.substr(0, text.find_last_not_of(" \t") + 1);
}

HttpMethod method_from(std::uint8_t method) {
    switch (method) {
        case HTTP_GET:
            return HttpMethod::get;
        case HTTP_HEAD:
            return HttpMethod::head;
        case HTTP_POST:
            return HttpMethod::post;
        default:
            return HttpMethod::other;
    }
}

}  // namespace

struct HttpRequestParser::State {
    // A header line: places in `text`.
    struct Field {
        std::uint32_t name;
        std::uint32_t value;
        std::uint32_t end;
    };

    explicit State(const HttpLimits& bounds) : limits(bounds) {}

    std::string_view name(const Field& field) const {
        return std::string_view(text).substr(field.name, field.value - field.name);
    }
    std::string_view value(const Field& field) const {
        return trimmed(std::string_view(text).substr(field.value, field.end - field.value));
    }
    std::uint32_t text_size() const { return static_cast<std::uint32_t>(text.size()); }
    int fail(unsigned status) {
        fault = status;
        return HPE_USER;
    }

    const HttpLimits& limits;
    llhttp_t parser{};
    HttpProgress progress = HttpProgress::incomplete;
    unsigned fault = 0;
    std::size_t taken = 0;  // bytes of the head, then of the body as it was sent
    bool head_complete = false;
    bool awaits_continue = false;
    bool keep_alive = false;
    std::uint32_t target_size = 0;
    std::string text;  // the target, then names and values
    std::vector<Field> fields;
    std::string body;
};

// What llhttp calls.
struct HttpRequestParser::Callbacks {
    static State& state_of(llhttp_t* parser) { return *static_cast<State*>(parser->data); }

    static int target(llhttp_t* parser, const char* bytes, std::size_t size) {
        State& state = state_of(parser);
        if (state.text.size() + size > state.limits.target) return state.fail(414);
        state.text.append(bytes, size);
        state.target_size = state.text_size();
        return 0;
    }

    // A name may come in pieces; one that comes behind a value begins a new line.
    static int name(llhttp_t* parser, const char* bytes, std::size_t size) {
        State& state = state_of(parser);
        if (state.head_complete) return 0;  // behind a body in chunks
        const std::uint32_t here = state.text_size();
        if (state.fields.empty() || state.fields.back().end != 0) {
            if (state.fields.size() == state.limits.fields) return state.fail(431);
            state.fields.push_back({.name = here, .value = 0, .end = 0});
        }
        state.text.append(bytes, size);
        return 0;
    }
    static int name_complete(llhttp_t* parser) {
        State& state = state_of(parser);
        if (state.head_complete) return 0;
        state.fields.back().value = state.text_size();
        // llhttp lets white space before the colon pass, which RFC 9112 5.1 has us refuse.
        return state.name(state.fields.back()).ends_with(' ') ? state.fail(400) : 0;
    }
    static int value(llhttp_t* parser, const char* bytes, std::size_t size) {
        State& state = state_of(parser);
        if (!state.head_complete) state.text.append(bytes, size);
        return 0;
    }
    static int value_complete(llhttp_t* parser) {
        State& state = state_of(parser);
        if (!state.head_complete) state.fields.back().end = state.text_size();
        return 0;
    }

    static int head_complete(llhttp_t* parser) {
        State& state = state_of(parser);
        state.head_complete = true;
        state.taken = 0;
        state.keep_alive = llhttp_should_keep_alive(parser) != 0;
        parser->upgrade = 0;  // whether to change the protocol is for whoever answers
        if (parser->http_major != 1) return state.fail(505);
        if (parser->method == HTTP_CONNECT) return state.fail(501);
        const auto is_host = [&](const State::Field& field) {
            return same_ignoring_case(state.name(field), "host");
        };
        const auto hosts = std::ranges::count_if(state.fields, is_host);
        if (hosts > 1 || (hosts == 0 && parser->http_minor == 1)) return state.fail(400);
        const bool has_body = (parser->flags & (F_CHUNKED | F_CONTENT_LENGTH)) != 0;
        if ((parser->flags & F_CHUNKED) == 0 && has_body && parser->content_length > state.limits.body)
            return state.fail(413);
        const auto expects = std::ranges::any_of(state.fields, [&](const State::Field& field) {
            return same_ignoring_case(state.name(field), "expect") &&
                   same_ignoring_case(state.value(field), "100-continue");
        });
        state.awaits_continue = expects && has_body && parser->http_minor == 1;
        return 0;
    }

    static int body(llhttp_t* parser, const char* bytes, std::size_t size) {
        State& state = state_of(parser);
        if (state.body.size() + size > state.limits.body) return state.fail(413);
        state.body.append(bytes, size);
        return 0;
    }

    static int complete(llhttp_t* parser) {
        state_of(parser).progress = HttpProgress::complete;
        return HPE_PAUSED;
    }

    static const llhttp_settings_t& all() {
        static const llhttp_settings_t settings = [] {
            llhttp_settings_t made;
            llhttp_settings_init(&made);
            made.on_url = target;
            made.on_header_field = name;
            made.on_header_field_complete = name_complete;
            made.on_header_value = value;
            made.on_header_value_complete = value_complete;
            made.on_headers_complete = head_complete;
            made.on_body = body;
            made.on_message_complete = complete;
            return made;
        }();
        return settings;
    }
};

HttpRequestParser::HttpRequestParser(const HttpLimits& limits) : state_(std::make_unique<State>(limits)) {
    llhttp_init(&state_->parser, HTTP_REQUEST, &Callbacks::all());
    state_->parser.data = state_.get();
}

HttpRequestParser::~HttpRequestParser() = default;

// In pieces that are within the bounds: llhttp itself would skip over blank lines and remarks without end.
HttpProgress HttpRequestParser::feed(std::string_view& input) {
    State& state = *state_;
    assert(state.progress == HttpProgress::incomplete);
    while (!input.empty() && state.progress == HttpProgress::incomplete) {
        const bool in_head = !state.head_complete;
        const std::size_t bound = in_head ? state.limits.head : 2 * state.limits.body + chunk_allowance;
        const std::string_view piece = input.substr(0, bound - state.taken);
        const llhttp_errno_t error = llhttp_execute(&state.parser, piece.data(), piece.size());
        std::size_t taken = piece.size();
        if (error != HPE_OK)
            taken = static_cast<std::size_t>(llhttp_get_error_pos(&state.parser) - piece.data());
        input.remove_prefix(taken);
        if (in_head == !state.head_complete) state.taken += taken;
        if (error != HPE_OK && error != HPE_PAUSED) {
            if (state.fault == 0) state.fault = error == HPE_INVALID_VERSION ? 505 : 400;
            state.progress = HttpProgress::failed;
        } else if (state.progress == HttpProgress::incomplete && state.taken >= bound) {
            state.fault = in_head ? 431 : 413;
            state.progress = HttpProgress::failed;
        }
    }
    return state.progress;
}

unsigned HttpRequestParser::fault() const { return state_->fault; }

bool HttpRequestParser::begun() const {
    return state_->progress == HttpProgress::incomplete && (state_->taken > 0 || state_->head_complete);
}

bool HttpRequestParser::take_awaits_continue() { return std::exchange(state_->awaits_continue, false); }

HttpMethod HttpRequestParser::method() const { return method_from(state_->parser.method); }

std::string_view HttpRequestParser::target() const {
    return std::string_view(state_->text).substr(0, state_->target_size);
}

std::string_view HttpRequestParser::body() const { return state_->body; }

bool HttpRequestParser::keep_alive() const { return state_->keep_alive; }

bool HttpRequestParser::is_1_1() const { return state_->parser.http_minor == 1; }

std::optional<std::string_view> HttpRequestParser::header(std::string_view name) const {
    for (const State::Field& field : state_->fields) {
        if (same_ignoring_case(state_->name(field), name)) return state_->value(field);
    }
    return std::nullopt;
}

std::string HttpRequestParser::joined(std::string_view name) const {
    std::string values;
    for (const State::Field& field : state_->fields) {
        if (!same_ignoring_case(state_->name(field), name)) continue;
        if (!values.empty()) values += ',';
        values += state_->value(field);
    }
    return values;
}

std::size_t HttpRequestParser::count(std::string_view name) const {
    return static_cast<std::size_t>(std::ranges::count_if(state_->fields, [&](const State::Field& field) {
        return same_ignoring_case(state_->name(field), name);
    }));
}

bool HttpRequestParser::has_token(std::string_view name, std::string_view token) const {
    for (const State::Field& field : state_->fields) {
        if (!same_ignoring_case(state_->name(field), name)) continue;
        std::string_view rest = state_->value(field);
        while (!rest.empty()) {
            const std::string_view each = rest.substr(0, rest.find(','));
            if (!each.empty() && same_ignoring_case(trimmed(each), token)) return true;
            rest.remove_prefix(std::min(each.size() + 1, rest.size()));
        }
    }
    return false;
}

void HttpRequestParser::begin_next() {
    State& state = *state_;
    assert(state.progress == HttpProgress::complete && state.keep_alive);
    llhttp_resume(&state.parser);
    state.progress = HttpProgress::incomplete;
    state.taken = 0;
    state.head_complete = state.awaits_continue = false;
    state.target_size = 0;
    state.text.clear();
    state.fields.clear();
    state.body.clear();
    if (state.body.capacity() > chunk_allowance) state.body = {};
}

}  // namespace confab::wire
