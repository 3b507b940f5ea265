#include "pools/processes/process_record.hpp"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "pools/poll_until.hpp"

namespace confab::processes {

ProcessRecord::ProcessRecord(process_info info, Fd pidfd)
    : pid_(info.pid),
      daemon_(info.daemon),
      owner_(::getpid()),
      pidfd_(std::move(pidfd)),
      name_(std::move(info.name)) {}

void ProcessRecord::send_signal(int number) const {
    if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0) == 0) return;
    if (errno != ESRCH) throw std::system_error(errno, std::system_category(), "pidfd_send_signal");
}

bool ProcessRecord::is_ours() const { return owner_ == ::getpid(); }

process_info ProcessRecord::info() const {
    const MutexLock lock(name_mutex_);
    return {.pid = pid_, .name = name_, .daemon = daemon_};
}

void ProcessRecord::set_name(std::string name) {
    const MutexLock lock(name_mutex_);
    name_ = std::move(name);
}

std::optional<exit_status> DirectChild::collect() {
    const MutexLock lock(mutex_);
    if (status_) return status_;
    siginfo_t ended{};
    int result = 0;
    while ((result = ::waitid(P_PIDFD, static_cast<id_t>(pidfd()), &ended, WEXITED | WNOHANG)) != 0 &&
           errno == EINTR) {
    }
    if (result != 0) {
        if (errno != ECHILD) throw std::system_error(errno, std::system_category(), "waitid");
        status_ = exit_status::unknown();
    } else if (ended.si_pid != 0) {
        status_ = ended.si_code == CLD_EXITED ? exit_status::of_code(ended.si_status)
                                              : exit_status::of_signal(ended.si_status);
    }
    return status_;
}

bool DirectChild::wait_until(Instant deadline) {
    if (collect()) return true;
    while (readable_until(pidfd(), deadline)) {
        if (collect()) return true;
    }
    return false;
}

}  // namespace confab::processes
