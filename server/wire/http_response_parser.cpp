#include "server/wire/http_response_parser.hpp"

#include <llhttp.h>

#include <cassert>
#include <cstddef>
#include <utility>

namespace confab::wire {

namespace {

constexpr std::uint64_t digest_of_nothing = 0xcbf29ce484222325;
constexpr std::uint64_t digest_prime = 0x100000001b3;

}  // namespace

struct HttpResponseParser::State {
    explicit State(const HttpLimits& bounds) : limits(bounds) {}

    const HttpLimits& limits;
    llhttp_t parser{};
    HttpProgress progress = HttpProgress::incomplete;
    std::size_t head_taken = 0;
    bool head_complete = false;
    bool no_body = false;
    bool keep_alive = false;
    std::uint64_t body_size = 0;
    std::uint64_t body_digest = digest_of_nothing;
};

// What llhttp calls.
struct HttpResponseParser::Callbacks {
    static State& state_of(llhttp_t* parser) { return *static_cast<State*>(parser->data); }

    static int head_complete(llhttp_t* parser) {
        State& state = state_of(parser);
        state.head_complete = true;
        state.keep_alive = llhttp_should_keep_alive(parser) != 0 && parser->upgrade == 0;
        return state.no_body ? 1 : 0;
    }
    static int body(llhttp_t* parser, const char* bytes, std::size_t size) {
        State& state = state_of(parser);
        state.body_size += size;
        for (const char byte : std::string_view(bytes, size))
            state.body_digest = (state.body_digest ^ static_cast<unsigned char>(byte)) * digest_prime;
        return 0;
    }
    static int complete(llhttp_t* parser) {
        State& state = state_of(parser);
        if (parser->status_code / 100 == 1 && parser->status_code != 101) {
            state.head_taken = 0;
            state.head_complete = false;
            return 0;
        }
        state.progress = HttpProgress::complete;
        return HPE_PAUSED;
    }

    static const llhttp_settings_t& all() {
        static const llhttp_settings_t settings = [] {
            llhttp_settings_t made;
            llhttp_settings_init(&made);
            made.on_headers_complete = head_complete;
            made.on_body = body;
            made.on_message_complete = complete;
            return made;
        }();
        return settings;
    }
};

HttpResponseParser::HttpResponseParser(const HttpLimits& limits) : state_(std::make_unique<State>(limits)) {
    llhttp_init(&state_->parser, HTTP_RESPONSE, &Callbacks::all());
    state_->parser.data = state_.get();
}

HttpResponseParser::~HttpResponseParser() = default;

void HttpResponseParser::expect_no_body() {
    assert(!begun());
    state_->no_body = true;
}

HttpProgress HttpResponseParser::feed(std::string_view& input) {
    State& state = *state_;
    assert(state.progress == HttpProgress::incomplete);
    while (!input.empty() && state.progress == HttpProgress::incomplete) {
        const bool in_head = !state.head_complete;
        const std::string_view piece =
            in_head ? input.substr(0, state.limits.head - state.head_taken) : input;
        const llhttp_errno_t error = llhttp_execute(&state.parser, piece.data(), piece.size());
        std::size_t taken = piece.size();
        if (error != HPE_OK)
            taken = static_cast<std::size_t>(llhttp_get_error_pos(&state.parser) - piece.data());
        input.remove_prefix(taken);
        if (in_head && !state.head_complete) state.head_taken += taken;
        const bool overlong = !state.head_complete && state.head_taken >= state.limits.head;
        const bool goes_on = error == HPE_OK || error == HPE_PAUSED || error == HPE_PAUSED_UPGRADE;
        if (state.progress == HttpProgress::incomplete && (overlong || !goes_on))
            state.progress = HttpProgress::failed;
    }
    return state.progress;
}

HttpProgress HttpResponseParser::finish() {
    State& state = *state_;
    assert(state.progress == HttpProgress::incomplete);
    if (!begun()) return state.progress;
    // Whether the end of the stream is the end of the body; `complete` has been called if so.
    llhttp_finish(&state.parser);
    if (state.progress == HttpProgress::incomplete) state.progress = HttpProgress::failed;
    state.keep_alive = false;
    return state.progress;
}

bool HttpResponseParser::begun() const {
    return state_->progress == HttpProgress::incomplete && (state_->head_taken > 0 || state_->head_complete);
}

unsigned HttpResponseParser::status() const { return state_->parser.status_code; }

std::uint64_t HttpResponseParser::body_size() const { return state_->body_size; }

std::uint64_t HttpResponseParser::body_digest() const { return state_->body_digest; }

bool HttpResponseParser::keep_alive() const { return state_->keep_alive; }

void HttpResponseParser::begin_next() {
    State& state = *state_;
    assert(state.progress == HttpProgress::complete && state.keep_alive);
    llhttp_resume(&state.parser);
    state.progress = HttpProgress::incomplete;
    state.head_taken = 0;
    state.head_complete = state.no_body = state.keep_alive = false;
    state.body_size = 0;
    state.body_digest = digest_of_nothing;
}

}  // namespace confab::wire
