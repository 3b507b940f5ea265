// Public: a connection on its way to another reactor, process or program.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "pools/fd.hpp"

namespace confab {

/// A connection that has been taken apart: the descriptor, and all that the one who served it knew of it.
/// Whoever puts it together again goes on where it was, and the peer sees no difference. pools/serialise.hpp
/// carries it, with its descriptor.
struct Traveller {
    Fd connection{};
    std::string state{};     ///< the application's, as its Worker wrote it
    std::string received{};  ///< came from the peer, and was not looked at
    std::string unsent{};    ///< owed to the peer
    bool at_end = false;     ///< the peer's end of stream was received
    bool begun = true;       ///< false: nobody has served it yet, all but the descriptor is empty

    template <class Archive>
    void serialize(Archive& archive) {
        archive(connection, state, received, unsent, at_end, begun);
    }
};

/// What has become of a connection that was sent on: nothing, since somebody else has it; or the connection,
/// untouched, since nobody takes it.
using Answer = std::function<void(std::optional<Traveller>)>;

/// Sends a connection on. The answer comes later, or at once, on whatever thread; exactly one.
using HandOver = std::function<void(Traveller, Answer)>;

}  // namespace confab
