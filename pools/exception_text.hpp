// Internal to pools: an exception in words.
#pragma once

#include <string>

namespace confab {

struct ExceptionText {
    std::string type;  // as C++ spells it
    std::string what;  // empty when it is no std::exception
};

/// Of the exception that is being handled. Requires: within a catch clause.
ExceptionText current_exception_text();

}  // namespace confab
