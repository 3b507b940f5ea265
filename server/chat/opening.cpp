#include "server/chat/opening.hpp"

#include <array>

namespace confab::chat {

namespace {

// Programs that speak HTTP speak first, and at once.
constexpr Duration silence_of_a_person = std::chrono::milliseconds(200);

// Who has begun with half a method may be torn by the network; it does not take longer than this to be put
// together again, or to be given up.
constexpr Duration patience_with_a_method = std::chrono::seconds(10);

constexpr std::array<std::string_view, 9> methods{"GET ",   "HEAD ",    "POST ",  "PUT ",    "DELETE ",
                                                  "PATCH ", "OPTIONS ", "TRACE ", "CONNECT "};

// What stands behind a method is a path, a star, or the name of a scheme or a host and more: nobody says that
// to people, so of letters only those of "http" count.
bool may_be_target(char c) { return c == '/' || c == '*' || c == 'h'; }

}  // namespace

Speaks who_speaks(std::string_view bytes) {
    for (const std::string_view method : methods) {
        if (method.starts_with(bytes)) return Speaks::unknown;
        if (bytes.starts_with(method))
            return may_be_target(bytes[method.size()]) ? Speaks::http : Speaks::line;
    }
    return Speaks::line;
}

task<Opening> hear_opening(Stream& stream, std::string heard) {
    const Instant begun = stream.reactor().now();
    while (true) {
        const Speaks speaks = who_speaks(heard);
        if (speaks != Speaks::unknown) co_return Opening{.speaks = speaks, .heard = std::move(heard)};
        const Instant end = after(begun, heard.empty() ? silence_of_a_person : patience_with_a_method);
        const Received bytes = co_await stream.receive(end - stream.reactor().now());
        if (bytes && !bytes->empty()) {
            heard += as_text(*bytes);
        } else if (bytes || bytes.error() != std::errc::operation_canceled) {
            co_return Opening{.speaks = Speaks::line, .heard = std::move(heard)};
        } else {
            co_return Opening{.speaks = Speaks::unknown, .heard = std::move(heard)};
        }
    }
}

}  // namespace confab::chat
