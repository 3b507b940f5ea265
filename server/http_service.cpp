#include "server/http_service.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <ctime>
#include <utility>

namespace confab {

namespace {

using wire::HttpMethod;
using wire::HttpProgress;
using wire::HttpRequestParser;

const wire::HttpLimits limits;
constexpr Duration request_limit = std::chrono::seconds(10);
constexpr Duration idle_limit = std::chrono::minutes(1);

// As RFC 9110 5.6.7 wants it: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    [[maybe_unused]] const std::tm* const known = ::gmtime_r(&now, &parts);
    assert(known != nullptr);
    std::array<char, 40> text;
    const std::size_t size = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return {text.data(), size};
}

std::string head_of(const HttpAnswer& answer, bool goes_on) {
    const std::size_t size = answer.body.empty() ? answer.fixed.size() : answer.body.size();
    std::string head = "HTTP/1.1 " + std::to_string(answer.status) + ' ';
    head.append(wire::reason_phrase(answer.status)).append("\r\nDate: ").append(http_date());
    if (answer.status != 304) {
        head.append("\r\nContent-Type: ").append(answer.type);
        head.append("\r\nContent-Length: ").append(std::to_string(size));
    }
    head.append(goes_on ? "\r\nConnection: keep-alive\r\n" : "\r\nConnection: close\r\n");
    return head.append(answer.headers).append("\r\n");
}

// One connection's requests.
class HttpConversation {
  public:
    HttpConversation(Stream& stream, HttpSite& site, std::string heard)
        : stream_(stream), site_(site), kept_(std::move(heard)), input_(kept_) {}

    task<std::optional<HttpSwitch>> converse();

  private:
    enum class Then : std::uint8_t { go_on, close, switched };

    task<Then> take_requests();
    task<bool> receive();
    task<Then> answer();
    task<bool> send(HttpAnswer answer, bool with_body, bool goes_on);
    void keep_input();
    Duration patience() const;

    Stream& stream_;
    HttpSite& site_;
    HttpRequestParser parser_{limits};
    std::string kept_;
    std::string_view input_;  // what has not been looked at: in what was lent, or in `kept_`
    bool lent_ = false;
    std::string_view switched_to_;
    Instant request_end_{};  // of the request that has begun
};

task<std::optional<HttpSwitch>> HttpConversation::converse() {
    while (true) {
        const Then then = co_await take_requests();
        if (then == Then::close) co_return std::nullopt;
        if (then == Then::switched) co_return HttpSwitch{.to = switched_to_, .rest = std::string(input_)};
        const bool more = co_await receive();
        if (!more) co_return std::nullopt;
    }
}

// Takes and answers what is whole of the input.
task<HttpConversation::Then> HttpConversation::take_requests() {
    while (!input_.empty()) {
        if (!parser_.begun()) request_end_ = after(stream_.reactor().now(), request_limit);
        const HttpProgress progress = parser_.feed(input_);
        if (progress == HttpProgress::failed) {
            co_await send(refuse(parser_.fault(), "this is no request that can be answered"), true, false);
            co_return Then::close;
        }
        if (progress == HttpProgress::incomplete) {
            if (!parser_.take_awaits_continue()) continue;
            const Sent sent = co_await stream_.send("HTTP/1.1 100 Continue\r\n\r\n");
            if (!sent) co_return Then::close;
        } else {
            const Then then = co_await answer();
            if (then != Then::go_on) co_return then;
        }
    }
    co_return Then::go_on;
}

// False: the connection is to be closed.
task<bool> HttpConversation::receive() {
    const Received bytes = co_await stream_.receive(patience());
    if (bytes) {
        input_ = as_text(*bytes);
        lent_ = true;
        co_return !bytes->empty();
    }
    if (bytes.error() == std::errc::timed_out && parser_.begun())
        co_await send(refuse(408, "the request took too long to come"), true, false);
    co_return false;
}

Duration HttpConversation::patience() const {
    if (parser_.begun()) return request_end_ - stream_.reactor().now();
    return std::min(idle_limit, stream_.receive_limit());
}

task<HttpConversation::Then> HttpConversation::answer() {
    keep_input();
    HttpAnswer answer = site_.answer(parser_);
    if (!answer.switching.empty()) {
        switched_to_ = answer.switching_to;
        const Sent sent = co_await stream_.send(answer.switching);
        co_return sent ? Then::switched : Then::close;
    }
    const bool goes_on = parser_.keep_alive();
    const bool with_body = parser_.method() != HttpMethod::head;
    const bool sent = co_await send(std::move(answer), with_body, goes_on);
    if (!sent || !goes_on) co_return Then::close;
    parser_.begin_next();
    co_return Then::go_on;
}

// Small bodies go with their head.
task<bool> HttpConversation::send(HttpAnswer answer, bool with_body, bool goes_on) {
    std::string head = head_of(answer, goes_on);
    const bool in_one = answer.fixed.empty();
    if (with_body) head += answer.body;
    const Sent sent = co_await stream_.send(head);
    if (!sent || !with_body || in_one) co_return sent.has_value();
    const Sent rest = co_await stream_.send(answer.fixed);
    co_return rest.has_value();
}

// Lent bytes are gone with the next wait.
void HttpConversation::keep_input() {
    if (!std::exchange(lent_, false)) return;
    kept_ = input_;
    input_ = kept_;
}

}  // namespace

HttpAnswer refuse(unsigned status, std::string_view why, std::string headers) {
    return {.status = status, .headers = std::move(headers), .body = std::string(why) + "\n"};
}

task<std::optional<HttpSwitch>> serve_http(Stream& stream, HttpSite& site, std::string heard) {
    HttpConversation conversation(stream, site, std::move(heard));
    std::optional<HttpSwitch> end = co_await conversation.converse();
    co_return end;
}

}  // namespace confab
