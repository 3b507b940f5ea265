#include "clients/load/http_dialogue.hpp"

#include <cassert>
#include <cstdint>
#include <optional>
#include <string_view>

#include "coro/stream.hpp"
#include "server/wire/http_response_parser.hpp"

namespace confab::load {

namespace {

constexpr unsigned first_error_status = 400;

/// What tells one response from another.
struct Answer {
    unsigned status;
    std::uint64_t size, digest;
    bool operator==(const Answer&) const = default;
};

class HttpDialogues;

class HttpDialogue final : public Dialogue {
  public:
    explicit HttpDialogue(HttpDialogues& all);

    void begin() override;
    Bytes say(std::size_t messages) override;
    std::size_t take(Bytes bytes, std::size_t under_way) override;
    std::size_t end(std::size_t under_way) override;
    Faults faults() const override { return faults_; }

  private:
    bool is_whole(wire::HttpProgress progress);
    void judge();

    HttpDialogues& all_;
    std::optional<wire::HttpResponseParser> parser_;
    Faults faults_;
    bool usable_ = true;  // false: what else comes on this connection is not looked at
};

class HttpDialogues final : public Dialogues {
  public:
    HttpDialogues(std::string_view requests, std::size_t request_size, bool same_bodies)
        : requests_(requests), request_size_(request_size), same_bodies_(same_bodies) {}

    std::unique_ptr<Dialogue> make(std::size_t /*index*/) override {
        return std::make_unique<HttpDialogue>(*this);
    }

    const wire::HttpLimits& limits() const { return limits_; }
    Bytes requests(std::size_t count) const {
        assert(count * request_size_ <= requests_.size());
        return as_bytes(requests_.substr(0, count * request_size_));
    }
    /// Whether it is as the first one was.
    bool is_expected(const Answer& answer) {
        if (!same_bodies_) return true;
        if (!first_) first_ = answer;
        return *first_ == answer;
    }

  private:
    const wire::HttpLimits limits_{};
    const std::string_view requests_;
    const std::size_t request_size_;
    const bool same_bodies_;
    std::optional<Answer> first_;
};

HttpDialogue::HttpDialogue(HttpDialogues& all) : all_(all) { begin(); }

void HttpDialogue::begin() {
    parser_.emplace(all_.limits());
    usable_ = true;
}

Bytes HttpDialogue::say(std::size_t messages) { return all_.requests(messages); }

std::size_t HttpDialogue::take(Bytes bytes, std::size_t under_way) {
    std::string_view input = as_text(bytes);
    std::size_t answered = 0;
    while (usable_ && !input.empty()) {
        if (answered == under_way && !parser_->begun()) {  // nobody has asked for that
            ++faults_.doubled;
            usable_ = false;
            break;
        }
        if (!is_whole(parser_->feed(input))) break;
        judge();
        ++answered;
        if (usable_) parser_->begin_next();
    }
    return answered;
}

std::size_t HttpDialogue::end(std::size_t under_way) {
    if (!usable_ || under_way == 0 || !parser_->begun() || !is_whole(parser_->finish())) return 0;
    judge();
    return 1;
}

bool HttpDialogue::is_whole(wire::HttpProgress progress) {
    if (progress == wire::HttpProgress::failed) {
        ++faults_.corrupted;
        usable_ = false;
    }
    return progress == wire::HttpProgress::complete;
}

// Looks at a response that has come whole.
void HttpDialogue::judge() {
    const Answer answer{
        .status = parser_->status(), .size = parser_->body_size(), .digest = parser_->body_digest()};
    if (answer.status >= first_error_status) {
        ++faults_.complaints;
    } else if (!all_.is_expected(answer)) {
        ++faults_.corrupted;
    }
    usable_ = parser_->keep_alive();
}

}  // namespace

std::string http_request(const std::string& host, const std::string& path, bool closes) {
    return "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent: confab-load\r\nAccept: */*\r\n" +
           (closes ? "Connection: close\r\n\r\n" : "\r\n");
}

std::unique_ptr<Dialogues> make_http_dialogues(std::string_view requests, std::size_t request_size,
                                               bool same_bodies) {
    return std::make_unique<HttpDialogues>(requests, request_size, same_bodies);
}

}  // namespace confab::load
