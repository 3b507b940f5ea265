// Whatever is read as a request is text, and what comes back of it is short.
#include "server/chat/json_request.hpp"
#include "server/chat/text.hpp"
#include "tests/fuzz/pieces.hpp"

using namespace confab::chat;
using namespace confab::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    JsonRequest request;
    const bool good = request.read(text_of(data, size)).empty();
    require(request.id.size() <= JsonRequest::longest_id && request.once.size() <= JsonRequest::longest_id);
    require(check_text(request.id) == TextFault::none);
    if (good) {
        for (const std::string* const each : {&request.type, &request.room, &request.nick, &request.text})
            require(check_text(*each) != TextFault::not_utf8);
    }
    return 0;
}
