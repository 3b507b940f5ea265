// Internal to tests: an owned descriptor. The library has one too, but what tests it stands on
// nothing of it.
#pragma once

#include <unistd.h>

#include <utility>

namespace confab::system_tests {

class UniqueFd {
  public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept {
        if (this != &other) {
            close();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    ~UniqueFd() { close(); }

    int get() const { return fd_; }
    bool is_open() const { return fd_ >= 0; }

    // Linux has closed the descriptor whatever close(2) returns.
    void close() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }

  private:
    int fd_ = -1;
};

}  // namespace confab::system_tests
