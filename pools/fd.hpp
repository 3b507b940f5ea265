// Public: an owned file descriptor.
#pragma once

#include <utility>

namespace confab {

/// Closes its descriptor when it dies. Move-only. For descriptors that no reactor has in flight; a socket
/// that a reactor serves is closed by an Operation::Kind::close, which waits for what is in flight.
class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd();

    int get() const { return fd_; }
    explicit operator bool() const { return fd_ >= 0; }
    /// The caller owns it from here on.
    int release() { return std::exchange(fd_, -1); }

  private:
    int fd_ = -1;
};

/// The same descriptor, or a duplicate (close-on-exec) when its number is 0, 1 or 2: with a standard stream
/// closed, the next descriptor gets its number, and what the program prints. Throws std::system_error.
Fd above_standard_streams(Fd fd);

}  // namespace confab
