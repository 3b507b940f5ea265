#include "server/pid_file.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace confab {

namespace {

std::runtime_error failed(const std::string& path, const std::string& why) {
    return std::runtime_error("the pidfile " + path + " " + why);
}

std::string reason() { return std::generic_category().message(errno); }

struct flock whole_file() {
    struct flock range{};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    return range;
}

}  // namespace

PidFile::PidFile(std::string path) : path_(std::move(path)) {
    while (!lock()) {
    }
    write();
}

// False: the file has been removed by who had it before, between its opening and its locking; another try
// makes a new one.
bool PidFile::lock() {
    constexpr mode_t readable_by_all = 0644;
    file_ = Fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, readable_by_all));
    if (!file_) throw failed(path_, "cannot be opened: " + reason());
    struct flock range = whole_file();
    if (::fcntl(file_.get(), F_SETLK, &range) != 0) {
        if (errno != EAGAIN && errno != EACCES) throw failed(path_, "cannot be locked: " + reason());
        struct flock holder = whole_file();
        const bool known = ::fcntl(file_.get(), F_GETLK, &holder) == 0 && holder.l_type != F_UNLCK;
        if (!known) return false;  // it has ended just now
        throw failed(path_, "is held by process " + std::to_string(holder.l_pid) + ", which runs");
    }
    struct stat locked{};
    struct stat present{};
    if (::fstat(file_.get(), &locked) != 0) throw failed(path_, "cannot be looked at: " + reason());
    return ::stat(path_.c_str(), &present) == 0 && present.st_ino == locked.st_ino &&
           present.st_dev == locked.st_dev;
}

void PidFile::write() const {
    const std::string text = std::to_string(::getpid()) + '\n';
    const bool written = ::ftruncate(file_.get(), 0) == 0 && ::pwrite(file_.get(), text.data(), text.size(),
                                                                      0) == static_cast<ssize_t>(text.size());
    if (!written) throw failed(path_, "cannot be written: " + reason());
}

void PidFile::leave() {
    path_.clear();
    file_ = Fd();
}

void PidFile::remove() noexcept {
    if (path_.empty()) return;
    if (::unlink(path_.c_str()) != 0) spdlog::warn("the pidfile {} stays: {}", path_, reason());
    path_.clear();
}

}  // namespace confab
