// Internal to server: waking a reactor of another process.
//
// A bell is a Unix datagram socket with a name that the kernel chose (unix(7), "autobind"), so that nothing
// has to be inherited or sent around, as an eventfd would have to be: whoever reads the name in shared memory
// can ring. To be rung costs its owner a look at his news, and nothing else, whoever did it.
#pragma once

#include <cstdint>
#include <utility>

#include "pools/fd.hpp"

namespace confab::chat {

/// Where a bell can be rung, in a form that fits into shared memory. 0: nowhere.
using BellName = std::uint64_t;

/// The end that is rung.
class Bell {
  public:
    /// Throws std::system_error when there are no descriptors.
    Bell();

    BellName name() const { return name_; }
    /// Becomes readable when it is rung, with something to read. Non-blocking.
    int descriptor() const { return socket_.get(); }
    /// For whoever is to close it.
    Fd release() { return std::move(socket_); }
    /// Takes off what has been rung.
    void silence() const;

  private:
    Fd socket_;
    BellName name_ = 0;
};

/// The end that rings.
class BellRinger {
  public:
    /// Throws std::system_error when there are no descriptors.
    BellRinger();
    /// Wakes whoever has that bell; without effect when nobody has it any more. Never waits. False: there was
    /// no descriptor for it, try again.
    bool ring(BellName name);

  private:
    Fd socket_;
};

}  // namespace confab::chat
