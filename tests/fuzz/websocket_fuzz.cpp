// However frames are torn, they are the same messages, and within their bound.
#include "server/wire/websocket_reader.hpp"
#include "tests/fuzz/pieces.hpp"

using namespace confab::fuzz;
using namespace confab::wire;

namespace {

constexpr std::size_t limit = 1000;

std::string messages(std::string_view bytes, std::size_t size, bool compression) {
    WebSocketReader reader;
    if (compression) reader.expect_compressed();
    std::string seen;
    in_pieces(bytes, size, [&](std::string_view piece) {
        std::string copy(piece);  // it is unmasked in place
        std::span<std::byte> input = std::as_writable_bytes(std::span(copy));
        while (true) {
            const WebSocketEvent event = reader.next(input, limit);
            if (event.kind == WebSocketEvent::Kind::need_more) break;
            require(event.payload.size() <= limit);
            seen += std::to_string(static_cast<int>(event.kind)) + ' ' + std::to_string(event.code) + ' ';
            seen.append(event.payload).append("\n");
            if (event.kind >= WebSocketEvent::Kind::close) return false;
        }
        require(input.empty());
        return true;
    });
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes = text_of(data, size);
    for (const bool compression : {false, true}) {
        const std::string whole = messages(bytes, 0, compression);
        for (const std::size_t pieces : {std::size_t{1}, std::size_t{7}})
            require(messages(bytes, pieces, compression) == whole);
    }
    return 0;
}
