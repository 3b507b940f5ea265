#include "pools/process_pool.hpp"

#include <atomic>
#include <chrono>
#include <optional>

#include "pools/processes/process.hpp"
#include "pools/processes/shared_memory.hpp"

namespace confab {

using processes::Mailbox;

namespace {

// How long a worker that was told to quit, with nothing to do, has for its exit hooks.
constexpr auto quit_grace = std::chrono::seconds(1);

// A worker that dies before it is ready, or before it looks at a task, has failed nobody: another takes its
// place. But where so many die in a row, the next would, too.
constexpr int most_attempts = 10;

}  // namespace

/// One process, and this thread's side of its mailbox. Its thread's only, but for `kill` and `pid`.
class process_pool::Worker {
  public:
    explicit Worker(process_pool& pool);
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker();

    /// Hands over a task and waits for the result. Nothing: the worker died without looking at it. Throws
    /// worker_died and remote_error.
    std::optional<std::span<const std::byte>> have_done(const processes::TaskEntry& entry,
                                                        std::span<const std::byte> request,
                                                        const std::stop_token& stop);
    bool can_do_more() const {
        return !shared_->is_dead && !was_asked_to_stop_ && tasks_ < pool_.options_.max_tasks_per_worker;
    }

    const process_pool& pool() const { return pool_; }
    void kill() { process_.kill(); }
    pid_t pid() const { return process_.pid().value_or(0); }

  private:
    // With the thread that hears of the process's end.
    struct Shared {
        processes::shared<Mailbox> mailbox;
        std::atomic<bool> is_dead = false;
    };

    Mailbox::Turn wait_for_turn();
    std::span<const std::byte> take_reply();
    [[noreturn]] void fail();

    process_pool& pool_;
    const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
    Mailbox& mailbox_ = *shared_->mailbox;
    connection pipe_;
    processes::process process_;
    Patience patience_;
    std::size_t tasks_ = 0;
    bool was_asked_to_stop_ = false;
    message reply_;  // memory for what comes through the pipe, used again
};

namespace {

int serve(const std::stop_token& stop, const processes::shared<Mailbox>& mailbox, connection pipe,
          void (*initializer)()) {
    return processes::run_pool_worker(stop, *mailbox, std::move(pipe), initializer);
}

}  // namespace

process_pool::Worker::Worker(process_pool& pool) : pool_(pool) {
    auto [mine, its] = make_two_way_pipe();
    pipe_ = std::move(mine);
    process_ = pool.launcher_.start_watched(
        {.name = pool.options_.name, .daemon = true},
        [shared = shared_](processes::exit_status) {
            shared->is_dead = true;
            shared->mailbox->bury();
        },
        serve, shared_->mailbox, std::move(its), pool.options_.initializer);
    {
        const MutexLock lock(pool_.mutex_);
        if (pool_.terminated_) throw future_canceled();
        pool_.workers_.push_back(this);
    }
    try {
        take_reply();  // it is ready, or its initializer threw
    } catch (...) {
        const MutexLock lock(pool_.mutex_);
        std::erase(pool_.workers_, this);
        throw;
    }
}

process_pool::Worker::~Worker() {
    {
        const MutexLock lock(pool_.mutex_);
        std::erase(pool_.workers_, this);
    }
    mailbox_.pass(Mailbox::idle, Mailbox::quit);
    if (!process_.join_for(quit_grace)) {
        process_.kill();
        process_.join();
    }
}

std::optional<std::span<const std::byte>> process_pool::Worker::have_done(const processes::TaskEntry& entry,
                                                                          std::span<const std::byte> request,
                                                                          const std::stop_token& stop) {
    mailbox_.entry = reinterpret_cast<std::uint64_t>(&entry);
    mailbox_.put(request);
    const bool is_in_pipe = mailbox_.is_in_pipe;
    if (!mailbox_.pass(Mailbox::idle, Mailbox::request)) return std::nullopt;
    ++tasks_;
    // It may have died with its last reply out, before the turn was back to be buried.
    if (shared_->is_dead) mailbox_.bury();
    // One that dies meanwhile is noticed below, one way or another.
    if (is_in_pipe) static_cast<void>(pipe_.send(request));
    Mailbox::Turn turn{};
    {
        const std::stop_callback ask(stop, [this] {
            was_asked_to_stop_ = true;
            process_.terminate();
        });
        turn = wait_for_turn();
    }
    if (turn == Mailbox::dead_untaken) return std::nullopt;
    return take_reply();
}

Mailbox::Turn process_pool::Worker::wait_for_turn() {
    return mailbox_.wait_while(
        [](Mailbox::Turn now) { return now == Mailbox::request || now == Mailbox::working; }, patience_);
}

std::span<const std::byte> process_pool::Worker::take_reply() {
    if (wait_for_turn() != Mailbox::reply) fail();
    std::span<const std::byte> content =
        std::span(mailbox_.bytes).first(mailbox_.is_in_pipe ? 0 : mailbox_.size);
    if (mailbox_.is_in_pipe) {
        if (!pipe_.receive_into(reply_)) fail();
        content = reply_.bytes;
    }
    const Mailbox::Kind kind = mailbox_.kind;
    mailbox_.pass(Mailbox::reply, Mailbox::idle);
    if (kind == Mailbox::Kind::value) return content;
    byte_reader archive(content);
    std::string type;
    std::string what;
    archive(type, what);
    throw remote_error(std::move(type), what);
}

void process_pool::Worker::fail() {
    process_.join();
    throw worker_died(*process_.status());
}

process_pool::process_pool(options options)
    : process_pool(std::make_unique<processes::launcher>(), nullptr, std::move(options)) {}

process_pool::process_pool(processes::launcher& launcher, options options)
    : process_pool(nullptr, &launcher, std::move(options)) {}

process_pool::process_pool(std::unique_ptr<processes::launcher> own, processes::launcher* launcher,
                           options options)
    : own_launcher_(std::move(own)),
      launcher_(own_launcher_ ? *own_launcher_ : *launcher),
      options_(std::move(options)),
      threads_({.threads = options_.processes, .name = options_.name, .initializer = [this] {
                    static_cast<void>(worker_of_this_thread());
                }}) {
    if (options_.max_tasks_per_worker == 0) {
        throw std::invalid_argument("processes that end after no task would never do anything");
    }
}

process_pool::~process_pool() {
    close();
    join();
}

// The thread's, and with it the worker, ends before the pool does.
process_pool::Worker& process_pool::worker_of_this_thread() {
    static thread_local std::unique_ptr<Worker> worker;
    if (worker && !worker->can_do_more()) worker.reset();
    for (int attempt = 1; !worker; ++attempt) {
        try {
            worker = std::make_unique<Worker>(*this);
        } catch (const worker_died&) {
            if (attempt == most_attempts) throw;
        }
    }
    return *worker;
}

std::span<const std::byte> process_pool::have_done(const processes::TaskEntry& entry,
                                                   std::span<const std::byte> request,
                                                   const std::stop_token& stop) {
    for (int attempt = 0; attempt < most_attempts; ++attempt) {
        Worker* worker = nullptr;
        try {
            worker = &worker_of_this_thread();
        } catch (const future_canceled&) {
            throw;
        } catch (...) {
            throw broken_pool();  // which keeps what it was
        }
        if (const auto result = worker->have_done(entry, request, stop)) return *result;
        if (stop.stop_requested()) throw future_canceled();
    }
    throw worker_died(processes::exit_status::unknown());
}

void process_pool::terminate() {
    threads_.terminate();
    const MutexLock lock(mutex_);
    terminated_ = true;
    for (Worker* const worker : workers_) worker->kill();
}

std::vector<pid_t> process_pool::worker_pids() const {
    const MutexLock lock(mutex_);
    std::vector<pid_t> pids;
    for (const Worker* const worker : workers_) pids.push_back(worker->pid());
    return pids;
}

}  // namespace confab
