// Internal to server: the page, as the program carries it (web/).
#pragma once

#include <span>
#include <string_view>

namespace confab::chat {

struct WebFile {
    std::string_view target;  ///< as it is asked for: "/chat.js"
    std::string_view type;
    std::string_view tag;  ///< changes with the content; with its quotation marks, as ETag has it
    std::string_view bytes;
};

std::span<const WebFile> web_files();

}  // namespace confab::chat
