#include "pools/threads/thread.hpp"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <list>
#include <new>
#include <stdexcept>
#include <thread>
#include <utility>

#include "pools/annotated_mutex.hpp"
#include "pools/exception_text.hpp"
#include "pools/futex.hpp"
#include "pools/thread_number.hpp"

namespace confab::threads {

/// A thread of ours: its handle's and its own.
class ThreadRecord {
  public:
    ThreadRecord(thread_options given, std::move_only_function<void(std::stop_token)> function)
        : options(std::move(given)), work(std::move(function)) {}

    /// False: the deadline has passed.
    bool wait(Instant deadline) const {
        while (over == 0) {
            if (!futex_wait(over, 0, FutexScope::threads, deadline)) return over != 0;
        }
        return true;
    }

    // Constant from the start on.
    thread_options options;

    std::move_only_function<void(std::stop_token)> work;  // the thread's own from the start on
    std::stop_source stop;
    FutexWord over = 0;  // 1: it has run, and does nothing more but end
    std::atomic<pid_t> id = 0;

    Mutex join_mutex;
    std::thread system_thread CONFAB_GUARDED_BY(join_mutex);
};

namespace {

constexpr std::size_t longest_name = 15;  // that Linux shows

// All that run. Never destroyed: daemons may outlive everything.
struct Running {
    Mutex mutex;
    std::list<std::shared_ptr<ThreadRecord>> list CONFAB_GUARDED_BY(mutex);
    std::atomic<unsigned> named = 0;
    std::atomic<bool> waits_at_exit = false;
};

thread_local const ThreadRecord* this_record = nullptr;

Running& running();

void wait_for_daemons() {
    std::vector<std::shared_ptr<ThreadRecord>> daemons;
    {
        const MutexLock lock(running().mutex);
        for (const auto& record : running().list) {
            if (record->options.daemon && record.get() != this_record) daemons.push_back(record);
        }
    }
    for (const auto& daemon : daemons) daemon->stop.request_stop();
    const Instant deadline = after(Clock::now(), daemon_patience);
    for (const auto& daemon : daemons) daemon->wait(deadline);
}

// In a forked child the others do not exist. The list is not to be half changed in the copy.
void before_fork() CONFAB_NO_THREAD_SAFETY_ANALYSIS { running().mutex.lock(); }
void after_fork_in_parent() CONFAB_NO_THREAD_SAFETY_ANALYSIS { running().mutex.unlock(); }
void after_fork_in_child() CONFAB_NO_THREAD_SAFETY_ANALYSIS {
    std::erase_if(running().list, [](const auto& record) { return record.get() != this_record; });
    if (this_record != nullptr) running().list.front()->id = ::gettid();
    running().waits_at_exit = false;
    running().mutex.unlock();
}

Running& running() {
    static Running* const made = [] {
        auto* const list = new Running;
        if (::pthread_atfork(&before_fork, &after_fork_in_parent, &after_fork_in_child) != 0)
            throw std::bad_alloc();
        return list;
    }();
    return *made;
}

std::string system_name() {
    std::array<char, longest_name + 1> name{};
    ::pthread_getname_np(::pthread_self(), name.data(), name.size());
    return name.data();
}

void run(const std::shared_ptr<ThreadRecord>& record) {
    this_record = record.get();
    ::pthread_setname_np(::pthread_self(), record->options.name.substr(0, longest_name).c_str());
    try {
        auto work = std::exchange(record->work, nullptr);  // what it holds dies before the thread is over
        work(record->stop.get_token());
    } catch (...) {
        const ExceptionText text = current_exception_text();
        std::fprintf(stderr, "thread %s: nobody caught %s%s%s\n", record->options.name.c_str(),
                     text.type.c_str(), text.what.empty() ? "" : ": ", text.what.c_str());
    }
    {
        const MutexLock lock(running().mutex);
        std::erase(running().list, record);
    }
    record->over = 1;
    futex_wake(record->over, wake_all, FutexScope::threads);
}

}  // namespace

thread::thread(thread_options options, std::move_only_function<void(std::stop_token)> work) {
    if (options.name.empty()) options.name = "thread-" + std::to_string(++running().named);
    record_ = std::make_shared<ThreadRecord>(std::move(options), std::move(work));
}

thread& thread::operator=(thread&& other) noexcept {
    if (this == &other) return *this;
    let_go();
    record_ = std::move(other.record_);
    return *this;
}

thread::~thread() { let_go(); }

void thread::let_go() noexcept {
    if (!record_ || record_->id == 0) return;
    record_->stop.request_stop();
    if (!daemon()) {
        join();
        return;
    }
    const MutexLock lock(record_->join_mutex);
    if (record_->system_thread.joinable()) record_->system_thread.detach();
}

void thread::start() {
    if (record().id != 0)
        throw std::logic_error("a thread is started once: make another one to run it again");
    Running& list = running();
    if (daemon() && !list.waits_at_exit.exchange(true) && std::atexit(&wait_for_daemons) != 0)
        throw std::bad_alloc();
    {
        const MutexLock lock(list.mutex);
        list.list.push_back(record_);
    }
    FutexWord has_id = 0;
    try {
        const MutexLock lock(record_->join_mutex);
        record_->system_thread = std::thread([record = record_, &has_id] {
            record->id = ::gettid();
            has_id = 1;
            futex_wake(has_id, 1, FutexScope::threads);
            run(record);
        });
    } catch (...) {
        const MutexLock lock(list.mutex);
        std::erase(list.list, record_);
        throw;
    }
    while (has_id == 0) futex_wait(has_id, 0, FutexScope::threads);
}

void thread::join() { join_until(never); }

bool thread::join_for(Duration limit) { return join_until(deadline_in(limit)); }

bool thread::join_until(Instant deadline) {
    ThreadRecord& awaited = started();
    if (&awaited == this_record)
        throw std::logic_error("a thread cannot wait for its own end: join it from another");
    if (!awaited.wait(deadline)) return false;
    // It has left its function, so this is short; and whoever comes second waits for the first.
    const MutexLock lock(awaited.join_mutex);
    if (awaited.system_thread.joinable()) awaited.system_thread.join();
    return true;
}

bool thread::request_stop() { return started().stop.request_stop(); }

std::stop_token thread::stop_token() const { return record().stop.get_token(); }

bool thread::alive() const { return record_ && record_->id != 0 && record_->over == 0; }

pid_t thread::id() const { return record_ ? record_->id.load() : 0; }

std::string thread::name() const { return record_ ? record_->options.name : std::string(); }

bool thread::daemon() const { return record_ && record_->options.daemon; }

void thread::set_daemon(bool daemon) {
    if (record().id != 0) throw std::logic_error("a thread is made a daemon before its start, or never");
    record_->options.daemon = daemon;
}

ThreadRecord& thread::record() const {
    if (!record_) throw std::logic_error("there is no thread: the handle was moved from, or made empty");
    return *record_;
}

ThreadRecord& thread::started() const {
    if (record().id == 0) throw std::logic_error("the thread has not been started: call start first");
    return *record_;
}

std::vector<thread_info> all() {
    std::vector<thread_info> found{{.id = ::getpid(), .name = "main", .daemon = false}};
    const MutexLock lock(running().mutex);
    for (const auto& record : running().list) {
        if (record->id == 0) continue;  // about to begin
        found.push_back({.id = record->id, .name = record->options.name, .daemon = record->options.daemon});
    }
    return found;
}

thread_info current() {
    if (this_record != nullptr) {
        return {
            .id = this_record->id, .name = this_record->options.name, .daemon = this_record->options.daemon};
    }
    const pid_t id = ::gettid();
    return {.id = id, .name = id == ::getpid() ? "main" : system_name(), .daemon = false};
}

}  // namespace confab::threads
