// Public: errors of accept that are not the listener's.
#pragma once

#include <cerrno>

namespace confab {

/// accept(2), "Error handling": errors of the connection that was to be accepted, which concern nobody else.
inline bool is_error_of_one_connection(int error) {
    switch (error) {
        case ECONNABORTED:
        case EPROTO:
        case ENETDOWN:
        case ENOPROTOOPT:
        case EHOSTDOWN:
        case ENONET:
        case EHOSTUNREACH:
        case ENETUNREACH:
            return true;
        default:
            return false;
    }
}

}  // namespace confab
