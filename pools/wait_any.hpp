// Public: waiting for the first of several pipes, descriptors and processes.
#pragma once

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <vector>

#include "pools/clock.hpp"
#include "pools/fd.hpp"

namespace confab {

/// What `wait_any` waits for: a descriptor that is to be readable or closed by its other side. Made, without
/// being asked for, from
///   - a connection or reader: there is a message, or the end;
///   - a processes::process or parent_process: it has ended;
///   - an Fd, or a plain descriptor (a socket, a pidfd, an eventfd, a timerfd).
class waitable {
  public:
    waitable(int descriptor) : descriptor_(descriptor) {}           // NOLINT(google-explicit-constructor)
    waitable(const Fd& descriptor) : waitable(descriptor.get()) {}  // NOLINT(google-explicit-constructor)
    template <class End>
        requires requires(const End& end) {
            { end.poll() } -> std::same_as<bool>;
            { end.descriptor() } -> std::same_as<int>;
        }
    waitable(const End& end)  // NOLINT(google-explicit-constructor)
        : descriptor_(end.descriptor()), is_ready_(end.poll()) {}
    template <class Process>
        requires requires(const Process& process) {
            { process.sentinel() } -> std::same_as<int>;
        }
    waitable(const Process& process) : waitable(process.sentinel()) {}  // NOLINT(google-explicit-constructor)

    int descriptor() const { return descriptor_; }
    bool is_ready() const { return is_ready_; }

  private:
    int descriptor_;
    bool is_ready_ = false;  // whatever the kernel says of the descriptor
};

/// Waits until one of them is ready, and gives the places in the list of all that are, in rising order. A
/// signal does not end it. Throws std::system_error; closed descriptors count as ready.
std::vector<std::size_t> wait_any(std::span<const waitable> list);
inline std::vector<std::size_t> wait_any(std::initializer_list<waitable> list) {
    return wait_any(std::span(list.begin(), list.size()));
}

/// The same, until a deadline or for `limit` at most; none when it has passed. Zero or less only looks.
std::vector<std::size_t> wait_any_until(Instant deadline, std::span<const waitable> list);
inline std::vector<std::size_t> wait_any_until(Instant deadline, std::initializer_list<waitable> list) {
    return wait_any_until(deadline, std::span(list.begin(), list.size()));
}
inline std::vector<std::size_t> wait_any_for(Duration limit, std::span<const waitable> list) {
    return wait_any_until(deadline_in(limit), list);
}
inline std::vector<std::size_t> wait_any_for(Duration limit, std::initializer_list<waitable> list) {
    return wait_any_until(deadline_in(limit), list);
}

}  // namespace confab
