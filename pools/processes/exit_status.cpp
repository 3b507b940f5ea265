#include "pools/processes/exit_status.hpp"

#include <cstring>

namespace confab::processes {

std::string exit_status::text() const {
    switch (kind_) {
        case Kind::code:
            return "exit code " + std::to_string(value_);
        case Kind::signal: {
            const char* const name = ::sigdescr_np(value_);
            return "signal " + std::to_string(value_) + " (" + (name != nullptr ? name : "no name") + ")";
        }
        case Kind::unknown:
            break;
    }
    return "unknown exit status";
}

}  // namespace confab::processes
