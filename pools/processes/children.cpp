#include "pools/processes/children.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <system_error>
#include <utility>

#include "pools/signals_blocked.hpp"

namespace confab::processes {

namespace {

// What the handler of SIGTERM and SIGINT writes to. A lock-free atomic: handlers may read it.
std::atomic<int> stop_signal_descriptor = -1;

Fd make_eventfd() {
    Fd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!fd) throw std::system_error(errno, std::system_category(), "eventfd");
    return above_standard_streams(std::move(fd));
}

// Any thread, and a signal handler. EAGAIN: it is set already.
void set_eventfd(int descriptor) noexcept {
    const std::uint64_t one = 1;
    while (::write(descriptor, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void clear_eventfd(int descriptor) noexcept {
    std::uint64_t count = 0;
    // NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection): this descriptor does not block
    while (::read(descriptor, &count, sizeof count) < 0 && errno == EINTR) {
    }
}

// Our own signal is only to interrupt a system call.
void on_stop_signal(int, siginfo_t* info, void*) {
    if (info->si_code == SI_TKILL && info->si_pid == ::getpid()) return;
    const int error = errno;
    set_eventfd(stop_signal_descriptor.load(std::memory_order_relaxed));
    errno = error;
}

void interrupt_main_thread() noexcept { ::tgkill(::getpid(), ::getpid(), SIGTERM); }

bool has_ended(const std::shared_ptr<ProcessRecord>& record) { return record->collect().has_value(); }

// Never destroyed: threads and exit hooks may still use it when static objects die.
alignas(Children) std::array<std::byte, sizeof(Children)> storage;

}  // namespace

Children& Children::of_this_process() {
    static Children* const children = [] {
        auto* const made = ::new (storage.data()) Children;
        if (const int error = ::pthread_atfork(&before_fork, &after_fork_in_parent, &after_fork_in_child)) {
            throw std::system_error(error, std::system_category(), "pthread_atfork");
        }
        if (std::atexit([] { of_this_process().finish(); }) != 0) throw std::bad_alloc();
        return made;
    }();
    return *children;
}

Children::Children() = default;

// Of any fork in the program: there the thread is not to be alone with the list half changed, and no copy has
// the remains of a thread.
void Children::before_fork() CONFAB_NO_THREAD_SAFETY_ANALYSIS {
    of_this_process().rest();
    of_this_process().mutex_.lock();
}

void Children::after_fork_in_parent() CONFAB_NO_THREAD_SAFETY_ANALYSIS {
    of_this_process().mutex_.unlock();
    try {
        of_this_process().work();
    } catch (const std::system_error&) {  // no thread to be had: children are reaped when somebody looks
    }
}

// Here only the parent's thread that forked exists, and nothing may be allocated or locked. The old object is
// not destroyed: its thread is one of the parent's.
void Children::after_fork_in_child() CONFAB_NO_THREAD_SAFETY_ANALYSIS {
    Children& children = of_this_process();
    for (const auto& record : children.direct_) record->forget();
    for (const auto& record : children.remote_) record->forget();
    children.epoll_ = Fd();
    children.wake_ = Fd();
    children.stop_signal_ = Fd();
    children.mutex_.unlock();
    ::new (storage.data()) Children;
}

void Children::rest() {
    const MutexLock lock(thread_mutex_);
    if (!thread_.joinable() || thread_.get_id() == std::this_thread::get_id()) return;
    set_eventfd(wake_.get());
    thread_.join();
    clear_eventfd(wake_.get());
}

void Children::work() {
    const MutexLock lock(thread_mutex_);
    if (watching_) return;
    {
        const MutexLock list_lock(mutex_);
        if (!has_work()) return;
        watching_ = true;
    }
    if (thread_.joinable()) thread_.join();
    const SignalsBlocked quiet;
    try {
        thread_ = std::thread([this] { watch(); });
    } catch (...) {
        watching_ = false;
        throw;
    }
}

bool Children::has_work() { return stop_signal_ || !direct_.empty(); }

void Children::add(const std::shared_ptr<DirectChild>& child) {
    const MutexLock lock(mutex_);
    direct_.push_back(child);
    try {
        watch_descriptor(child->pidfd());
    } catch (...) {
        direct_.pop_back();
        throw;
    }
}

void Children::add_remote(std::shared_ptr<ProcessRecord> process) {
    const MutexLock lock(mutex_);
    std::erase_if(remote_, has_ended);
    remote_.push_back(std::move(process));
}

std::vector<std::shared_ptr<ProcessRecord>> Children::living() {
    std::vector<std::shared_ptr<ProcessRecord>> found;
    {
        const MutexLock lock(mutex_);
        found = remote_;
        found.insert(found.end(), direct_.begin(), direct_.end());
    }
    std::erase_if(found, has_ended);
    return found;
}

void Children::watch_descriptor(int descriptor) {
    if (!epoll_) {
        wake_ = make_eventfd();
        epoll_ = above_standard_streams(Fd(::epoll_create1(EPOLL_CLOEXEC)));
        if (!epoll_) throw std::system_error(errno, std::system_category(), "epoll_create1");
        watch_descriptor(wake_.get());
    }
    epoll_event event{.events = EPOLLIN, .data = {.fd = descriptor}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
        throw std::system_error(errno, std::system_category(), "epoll_ctl");
    }
}

void Children::serve_stop(std::stop_source stop) {
    stop_source_ = std::move(stop);
    stop_signal_ = make_eventfd();
    watch_descriptor(stop_signal_.get());
    stop_signal_descriptor = stop_signal_.get();
    // No SA_RESTART: a system call in which the main thread blocks ends, and it can look at its token.
    struct sigaction action{};
    action.sa_flags = SA_SIGINFO;
    action.sa_sigaction = &on_stop_signal;
    sigfillset(&action.sa_mask);
    for (const int number : {SIGTERM, SIGINT}) {
        if (::sigaction(number, &action, nullptr) != 0) {
            throw std::system_error(errno, std::system_category(), "sigaction");
        }
    }
}

void Children::watch() {
    std::array<epoll_event, 64> events{};
    while (true) {
        const int limit_ms = stop_source_.stop_requested() ? static_cast<int>(stop_reminder.count()) : -1;
        const int count =
            ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), limit_ms);
        if (count < 0 && errno != EINTR) throw std::system_error(errno, std::system_category(), "epoll_wait");
        if (count == 0) interrupt_main_thread();
        bool must_end = false;
        for (int i = 0; i < count; ++i) {
            const int descriptor = events[static_cast<std::size_t>(i)].data.fd;
            if (descriptor == wake_.get()) {
                must_end = true;
            } else if (descriptor == stop_signal_.get()) {
                clear_eventfd(descriptor);
                stop_source_.request_stop();
                // The signal itself may have come through before the request was made.
                interrupt_main_thread();
            } else {
                reap(descriptor);
            }
        }
        const MutexLock lock(mutex_);
        if (must_end || !has_work()) {
            watching_ = false;
            return;
        }
    }
}

void Children::reap(int pidfd) {
    std::shared_ptr<ProcessRecord> record;
    {
        const MutexLock lock(mutex_);
        const auto found =
            std::ranges::find_if(direct_, [&](const auto& listed) { return listed->pidfd() == pidfd; });
        if (found == direct_.end()) return;
        record = std::move(*found);
        direct_.erase(found);
        // Taken out by hand, since a fork may have made copies of the descriptor, which would keep it in.
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, pidfd, nullptr);
    }
    record->collect();
}

// The remote ones first, and only then those that they may depend on: launchers, which are daemons.
void Children::finish() noexcept {
    std::vector<std::shared_ptr<ProcessRecord>> remote;
    std::vector<std::shared_ptr<ProcessRecord>> direct;
    {
        const MutexLock lock(mutex_);
        remote = remote_;
        direct = direct_;
    }
    finish(remote);
    finish(direct);
    rest();
}

void Children::finish(const std::vector<std::shared_ptr<ProcessRecord>>& records) {
    for (const auto& record : records) {
        if (record->daemon()) record->send_signal(SIGTERM);
    }
    const Instant patience = after(Clock::now(), daemon_grace);
    for (const auto& record : records) {
        if (!record->daemon()) record->wait_until(never);
    }
    for (const auto& record : records) {
        if (!record->daemon() || record->wait_until(patience)) continue;
        record->send_signal(SIGKILL);
        record->wait_until(never);
    }
}

}  // namespace confab::processes
