// However lines are torn, they are the same lines, and within their bound.
#include "server/chat/line_splitter.hpp"
#include "tests/fuzz/pieces.hpp"

using namespace confab::chat;
using namespace confab::fuzz;

namespace {

constexpr std::size_t limit = 20;

std::string lines(std::string_view bytes, std::size_t size) {
    PartialLine partial;
    std::string seen;
    const auto note = [&](const SplitLine& line) {
        require(line.text.size() <= limit);
        seen.append(line.overlong ? "overlong" : line.text).append("\n");
    };
    in_pieces(bytes, size, [&](std::string_view piece) {
        LineSplitter splitter(partial, limit);
        while (!piece.empty()) {
            if (const auto line = splitter.next(piece)) note(*line);
        }
        return true;
    });
    LineSplitter splitter(partial, limit);
    if (const auto line = splitter.last()) note(*line);
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes = text_of(data, size);
    const std::string whole = lines(bytes, 0);
    for (const std::size_t pieces : {std::size_t{1}, std::size_t{7}}) require(lines(bytes, pieces) == whole);
    return 0;
}
