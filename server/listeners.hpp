// Internal to server: the sockets a server listens on.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "reactor/endpoint.hpp"

namespace confab {

/// Open listeners for some addresses, in sets: each host accepts from one set. They close when this dies. A
/// process that is forked has them, too.
class Listeners {
  public:
    /// How the sets come by their sockets.
    enum class Sharing : std::uint8_t {
        queue,  ///< the same sockets: whoever is free takes the next connection
        port,   ///< TCP: sockets of their own on the same port, over which the kernel spreads the connections
                ///< (SO_REUSEPORT, socket(7)). Unix sockets know no such thing and share the queue
    };

    /// Opens them. Throws std::runtime_error with a sentence that says what and why ("cannot listen on
    /// 127.0.0.1:8080: address already in use").
    Listeners(const std::vector<std::string>& addresses, unsigned sets, Sharing sharing);

    /// Takes those that somebody else has opened: the sets share their queues. Throws std::runtime_error when
    /// a descriptor is no listening stream socket. `owns_files`: those of Unix sockets are to be removed.
    Listeners(const std::vector<int>& inherited, unsigned sets, bool owns_files);

    /// In the order of the texts, with real ports.
    const std::vector<Endpoint>& addresses() const { return addresses_; }

    /// The listeners of a set, one for each address. They are the caller's from here on.
    std::vector<Fd> take(unsigned set) { return std::exchange(sets_[set], {}); }
    /// The same, to look at.
    const std::vector<Fd>& set(unsigned set) const { return sets_[set]; }
    unsigned sets() const { return static_cast<unsigned>(sets_.size()); }

    /// Removes the files of Unix sockets that it has opened: nobody finds the way to them any more.
    void remove_socket_files() const;
    /// True exactly when these files are this process's to remove.
    bool owns_files() const { return owns_files_; }
    /// In a process that was forked: they are its parent's.
    void leave_files() { owns_files_ = false; }

  private:
    void open(const std::string& text, unsigned sets, Sharing sharing);

    std::vector<Endpoint> addresses_;
    std::vector<std::vector<Fd>> sets_;
    bool owns_files_ = true;
};

/// Tells stderr that all is ready, a line for each address: "listening on ADDR (strategy NAME, app NAME)".
void say_where_it_listens(const std::vector<Endpoint>& addresses, const std::string& strategy,
                          const std::string& application);

}  // namespace confab
