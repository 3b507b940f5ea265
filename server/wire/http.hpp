// Public: what HTTP/1.1 requests and responses have in common, and their bounds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace confab::wire {

/// What one message may cost, each with its reason. The bounds hold while it arrives: no more is ever kept.
struct HttpLimits {
    /// Bytes of the request line and the headers together, with all that is skipped between them. Browsers
    /// with many cookies send some 8 KiB.
    std::size_t head = 16 * 1024;
    /// Bytes of the request target. Nothing that we serve has a longer name.
    std::size_t target = 4 * 1024;
    /// Header lines. Each costs a place in a table, whatever its length.
    std::size_t fields = 100;
    /// Bytes of the body, decoded. Encoded in chunks, it may take twice as many and a few: who sends it in
    /// single bytes or with long remarks is up to no good.
    std::size_t body = 64 * 1024;
};

/// The methods that anybody here treats differently.
enum class HttpMethod : std::uint8_t { get, head, post, other };

/// Where a parser is with its message.
enum class HttpProgress : std::uint8_t {
    incomplete,  ///< all input was taken, and there has to come more
    complete,    ///< the message is there; what is left of the input comes behind it
    failed,      ///< it is none, or too large; nothing more can be made of this connection
};

/// True when they differ in the case of ASCII letters only.
bool same_ignoring_case(std::string_view one, std::string_view other);

/// The usual words for a status: "Not Found".
std::string_view reason_phrase(unsigned status);

}  // namespace confab::wire
