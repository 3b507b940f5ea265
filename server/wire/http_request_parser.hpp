// Public: bytes in, HTTP/1.1 requests out (RFC 9112), within bounds.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/wire/http.hpp"

namespace confab::wire {

/// Takes requests off a connection's bytes, one at a time. Bytes are read strictly: what two readers could
/// take for different messages (both a length and chunks, a bare LF in the wrong place) is refused.
///
/// What it gives out belongs to it, and is valid until `begin_next` or its end. No threads of its own, no
/// I/O.
class HttpRequestParser {
  public:
    /// `limits` outlives it.
    explicit HttpRequestParser(const HttpLimits& limits);
    HttpRequestParser(const HttpRequestParser&) = delete;
    HttpRequestParser& operator=(const HttpRequestParser&) = delete;
    ~HttpRequestParser();

    /// Takes what belongs to the present request off `input`. Requires: neither complete nor failed.
    HttpProgress feed(std::string_view& input);

    /// The status to refuse it with (400, 413, 414, 431, 501 or 505). Requires: failed.
    unsigned fault() const;

    /// True when some of a request has come, and not all.
    bool begun() const;
    /// True once for a request whose sender waits for "100 Continue" before he goes on.
    bool take_awaits_continue();

    // Requires for all of these: complete.

    HttpMethod method() const;
    /// As it was sent: a path, perhaps with a query behind a question mark.
    std::string_view target() const;
    std::string_view body() const;
    /// False: it is the last one on this connection.
    bool keep_alive() const;
    /// HTTP/1.1, not 1.0.
    bool is_1_1() const;
    /// The value of the header of that name, whose case does not matter; nothing when there is none. Of
    /// several it is the first.
    std::optional<std::string_view> header(std::string_view name) const;
    /// The values of all headers of that name, with commas between them.
    std::string joined(std::string_view name) const;
    /// How often there is such a header.
    std::size_t count(std::string_view name) const;
    /// Whether `token` is among the values, separated by commas, of all such headers. Its case does not
    /// matter.
    bool has_token(std::string_view name, std::string_view token) const;

    /// Forgets this request and gets ready for the next. Requires: complete, and keep_alive.
    void begin_next();

  private:
    struct State;
    struct Callbacks;

    std::unique_ptr<State> state_;
};

}  // namespace confab::wire
