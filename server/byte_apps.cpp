#include "server/byte_apps.hpp"

namespace confab {

void leave_as_is(LentBytes /*bytes*/) {}

void to_upper(LentBytes bytes) {
    for (std::byte& byte : bytes) {
        const auto letter = static_cast<unsigned char>(byte);
        if (letter >= 'a' && letter <= 'z') byte = static_cast<std::byte>(letter - ('a' - 'A'));
    }
}

task<void> answer(Stream& stream, Transform transform) {
    while (true) {
        const Received bytes = co_await stream.receive();
        if (!bytes || bytes->empty()) co_return;
        transform(*bytes);
        const Sent sent = co_await stream.send(*bytes);
        if (!sent) co_return;
    }
}

}  // namespace confab
