// Public: bytes in, HTTP/1.1 responses out, for clients.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "server/wire/http.hpp"

namespace confab::wire {

/// Takes responses off a connection's bytes, one at a time, and keeps of them what it takes to count and to
/// check: neither headers nor bodies are stored, so a body may be of any length, and nothing is allocated
/// after the constructor. The head is bounded. No threads of its own, no I/O.
class HttpResponseParser {
  public:
    /// `limits` outlives it; its `body` and `fields` mean nothing here.
    explicit HttpResponseParser(const HttpLimits& limits);
    HttpResponseParser(const HttpResponseParser&) = delete;
    HttpResponseParser& operator=(const HttpResponseParser&) = delete;
    ~HttpResponseParser();

    /// The next response answers a HEAD: it has no body, whatever its headers say. Before its first byte.
    void expect_no_body();

    /// Takes what belongs to the present response off `input`. An interim one (100 to 199 but for 101) is
    /// skipped. Requires: neither complete nor failed.
    HttpProgress feed(std::string_view& input);
    /// The stream has ended: complete, where that is how the body ends; else failed, unless nothing has come.
    HttpProgress finish();

    /// True when some of a response has come, and not all.
    bool begun() const;

    // Requires for all of these: complete.

    unsigned status() const;
    /// Bytes of the body, decoded.
    std::uint64_t body_size() const;
    /// A number that depends on the body's bytes and their order (FNV-1a, 64 bits), to compare bodies by.
    std::uint64_t body_digest() const;
    /// False: the server will close, or has left the protocol (101).
    bool keep_alive() const;

    /// Forgets this response and gets ready for the next. Requires: complete, and keep_alive.
    void begin_next();

  private:
    struct State;
    struct Callbacks;

    std::unique_ptr<State> state_;
};

}  // namespace confab::wire
