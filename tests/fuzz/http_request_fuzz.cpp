// However a request is torn, it is the same one, and within its bounds.
#include "server/wire/http_request_parser.hpp"
#include "tests/fuzz/pieces.hpp"

using namespace confab::fuzz;
using namespace confab::wire;

namespace {

const HttpLimits limits{.head = 512, .target = 128, .fields = 8, .body = 256};

std::string requests(std::string_view bytes, std::size_t size) {
    HttpRequestParser parser(limits);
    std::string seen;
    in_pieces(bytes, size, [&](std::string_view piece) {
        while (!piece.empty()) {
            const HttpProgress progress = parser.feed(piece);
            if (progress == HttpProgress::incomplete) {
                require(piece.empty());
                return true;
            }
            if (progress == HttpProgress::failed) {
                seen += "failed";
                return false;
            }
            require(parser.target().size() <= limits.target && parser.body().size() <= limits.body);
            require(parser.count("host") <= 1);
            seen.append(parser.target()).append("|").append(parser.body()).append("|");
            seen.append(parser.header("host").value_or("none")).append("\n");
            if (!parser.keep_alive()) return false;
            parser.begin_next();
        }
        return true;
    });
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes = text_of(data, size);
    const std::string whole = requests(bytes, 0);
    for (const std::size_t pieces : {std::size_t{1}, std::size_t{7}})
        require(requests(bytes, pieces) == whole);
    return 0;
}
