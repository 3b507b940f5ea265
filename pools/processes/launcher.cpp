// The program's side: requests go out from any thread, and one thread hears what the launcher says.
#include "pools/processes/launcher.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

#include "pools/annotated_mutex.hpp"
#include "pools/futex.hpp"
#include "pools/poll_until.hpp"
#include "pools/processes/children.hpp"
#include "pools/processes/launch_messages.hpp"
#include "pools/processes/process_record.hpp"
#include "pools/signals_blocked.hpp"

namespace confab::processes {

namespace {

/// A process that the launcher reaps, and tells us of.
class LaunchedChild final : public ProcessRecord {
  public:
    LaunchedChild(process_info info, Fd pidfd, std::move_only_function<void(exit_status)> on_end)
        : ProcessRecord(std::move(info), std::move(pidfd)), on_end_(std::move(on_end)) {}

    std::optional<exit_status> collect() override {
        const std::uint32_t news = news_.load();
        if (news == none) return std::nullopt;
        if (news == launcher_is_dead && !readable_until(pidfd(), Instant::min())) return std::nullopt;
        return status_;
    }
    bool wait_until(Instant deadline) override {
        while (news_ == none) {
            if (!futex_wait(news_, none, FutexScope::threads, deadline)) return collect().has_value();
        }
        // Without a launcher it dies, too, but nobody says when.
        return news_ == told || readable_until(pidfd(), deadline);
    }

    // The listening thread.
    void end(exit_status status) { hear(told, status); }
    void lose_launcher() { hear(launcher_is_dead, exit_status::unknown()); }

  private:
    enum News : std::uint32_t { none, told, launcher_is_dead };

    void hear(News news, exit_status status) {
        status_ = status;
        news_ = news;
        futex_wake(news_, wake_all, FutexScope::threads);
        if (on_end_) on_end_(status);
    }

    FutexWord news_ = none;
    exit_status status_ = exit_status::unknown();  // written before the news
    std::move_only_function<void(exit_status)> on_end_;
};

// Somebody waits for the launcher's answer.
struct Starting {
    process_info info;
    std::move_only_function<void(exit_status)> on_end;
    FutexWord is_answered = 0;
    std::shared_ptr<LaunchedChild> child;  // null: refused
    int error = ECHILD;

    void answer() {
        is_answered = 1;
        futex_wake(is_answered, 1, FutexScope::threads);
    }
};

}  // namespace

class launcher::Link {
  public:
    Link() {
        auto [mine, its] = make_two_way_pipe();
        end_ = std::move(mine);
        // The copy of our end that the launcher gets by the fork would keep it from seeing the end.
        process_ = process({.name = "launcher", .daemon = true}, [this, end = std::move(its)]() mutable {
            end_.close();
            return run_launcher(end);
        });
        process_.start();
    }
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    ~Link() {
        // Both sides have their part in what follows: it kills what runs, and goes; we hear that, and go.
        process_.terminate();
        process_.join();
        if (listener_.joinable()) listener_.join();
    }

    std::shared_ptr<LaunchedChild> launch(LaunchRequest request, const std::vector<int>& descriptors,
                                          Starting& starting) {
        {
            const MutexLock lock(mutex_);
            if (is_dead_) throw_is_dead();
            if (!listener_.joinable()) {
                const SignalsBlocked quiet;
                listener_ = std::thread([this] { listen(); });
            }
            request.id = ++last_id_;
            starting_.emplace(request.id, &starting);
        }
        std::expected<void, connection_error> sent;
        try {
            const std::vector<std::byte> bytes = to_bytes(request);
            const MutexLock lock(send_mutex_);
            sent = end_.send(bytes, descriptors);
        } catch (...) {
            const MutexLock lock(mutex_);
            starting_.erase(request.id);
            throw;
        }
        // The listener, too, hears of a dead launcher, and answers for it.
        while (starting.is_answered == 0) futex_wait(starting.is_answered, 0, FutexScope::threads);
        if (starting.child) return starting.child;
        if (starting.error == ECHILD) throw_is_dead();
        throw std::system_error(starting.error, std::system_category(), "the launcher could not fork");
    }

    const process& launcher_process() const { return process_; }
    bool is_ours() const { return owner_ == ::getpid(); }

  private:
    [[noreturn]] static void throw_is_dead() {
        throw std::system_error(ECHILD, std::system_category(), "the launcher is dead");
    }

    void listen() {
        message received;
        while (end_.receive_into(received)) {
            LaunchReply reply{.kind = {}, .id = 0};
            if (received.bytes.size() != sizeof reply) continue;
            std::memcpy(static_cast<void*>(&reply), received.bytes.data(), sizeof reply);
            if (reply.kind == LaunchReply::Kind::ended) {
                end_child(reply);
            } else {
                answer_start(reply, std::move(received.descriptors));
            }
        }
        lose_launcher();
    }

    void answer_start(const LaunchReply& reply, std::vector<Fd> descriptors) {
        const MutexLock lock(mutex_);
        const auto found = starting_.extract(reply.id);
        if (!found) return;
        Starting& starting = *found.mapped();
        starting.error = reply.error;
        if (reply.kind == LaunchReply::Kind::started && descriptors.size() == 1) {
            starting.info.pid = reply.pid;
            starting.child = std::make_shared<LaunchedChild>(
                std::move(starting.info), std::move(descriptors.front()), std::move(starting.on_end));
            children_.emplace(reply.id, starting.child);
        }
        starting.answer();
    }

    void end_child(const LaunchReply& reply) {
        std::shared_ptr<LaunchedChild> child;
        {
            const MutexLock lock(mutex_);
            const auto found = children_.extract(reply.id);
            if (!found) return;
            child = found.mapped();
        }
        child->end(reply.status);
    }

    void lose_launcher() {
        std::unordered_map<std::uint64_t, std::shared_ptr<LaunchedChild>> lost;
        {
            const MutexLock lock(mutex_);
            is_dead_ = true;
            for (const auto& [id, starting] : starting_) starting->answer();
            starting_.clear();
            lost.swap(children_);
        }
        for (const auto& [id, child] : lost) child->lose_launcher();
    }

    const pid_t owner_ = ::getpid();
    process process_;
    connection end_;  // sent on with send_mutex_, received on by the listener
    Mutex send_mutex_;

    Mutex mutex_;
    bool is_dead_ CONFAB_GUARDED_BY(mutex_) = false;
    std::uint64_t last_id_ CONFAB_GUARDED_BY(mutex_) = 0;
    std::unordered_map<std::uint64_t, Starting*> starting_ CONFAB_GUARDED_BY(mutex_);
    std::unordered_map<std::uint64_t, std::shared_ptr<LaunchedChild>> children_ CONFAB_GUARDED_BY(mutex_);
    std::thread listener_;  // begun with the mutex held
};

launcher::launcher() : link_(std::make_unique<Link>()) {}

launcher::~launcher() {
    // A copy that a fork has made has no thread to join.
    if (!link_->is_ours()) static_cast<void>(link_.release());
}

process launcher::launch(process_options options, const LaunchEntry& entry, std::vector<std::byte>& arguments,
                         const std::vector<int>& descriptors,
                         std::move_only_function<void(exit_status)> on_end) {
    process started(std::move(options), std::unique_ptr<ProcessBody>());
    const process_options& complete = started.options_;
    Starting starting;
    starting.info = {.pid = 0, .name = complete.name, .daemon = started.daemon()};
    starting.on_end = std::move(on_end);
    const auto record = link_->launch({.id = 0,
                                       .entry = reinterpret_cast<std::uint64_t>(&entry),
                                       .name = complete.name,
                                       .daemon = started.daemon(),
                                       .when_orphaned = complete.when_orphaned,
                                       .arguments = std::move(arguments)},
                                      descriptors, starting);
    started.record_ = record;
    Children::of_this_process().add_remote(record);
    return started;
}

pid_t launcher::pid() const { return *link_->launcher_process().pid(); }

bool launcher::alive() const { return link_->launcher_process().alive(); }

}  // namespace confab::processes
