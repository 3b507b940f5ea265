#include "clients/load/run.hpp"

#include <poll.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <deque>
#include <exception>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include "clients/load/worker.hpp"
#include "coro/listener.hpp"
#include "coro/run.hpp"
#include "pools/annotated_mutex.hpp"
#include "pools/threads/thread.hpp"

namespace confab::load {

namespace {

void to_upper(LentBytes bytes) {
    for (std::byte& byte : bytes) {
        const auto letter = static_cast<unsigned char>(byte);
        if (letter >= 'a' && letter <= 'z') byte = static_cast<std::byte>(letter - ('a' - 'A'));
    }
}

/// While it lives, this thread and those it starts keep SIGINT and SIGTERM pending, to be read from here.
class EndingSignals {
  public:
    EndingSignals() {
        sigset_t ending;
        sigemptyset(&ending);
        sigaddset(&ending, SIGINT);
        sigaddset(&ending, SIGTERM);
        ::pthread_sigmask(SIG_BLOCK, &ending, &before_);
        fd_ = Fd(::signalfd(-1, &ending, SFD_NONBLOCK | SFD_CLOEXEC));
        if (!fd_) throw std::system_error(errno, std::generic_category(), "signalfd");
    }
    EndingSignals(const EndingSignals&) = delete;
    EndingSignals& operator=(const EndingSignals&) = delete;
    ~EndingSignals() { restore(); }

    int fd() const { return fd_.get(); }
    /// From here on the next signal does what it does by itself.
    void restore() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    /// Takes the signal that has come.
    void take() const {
        signalfd_siginfo signal{};
        [[maybe_unused]] const ssize_t size = ::read(fd_.get(), &signal, sizeof signal);
    }
    Fd release() { return std::move(fd_); }

  private:
    sigset_t before_{};
    Fd fd_;
};

class Crew;

/// A worker's thread, and the way to it.
class Member final : Worker::Listener {
  public:
    Member(Crew& crew, WorkShare share) : crew_(crew), share_(share) {}

    void start();
    // From the crew's thread; without effect once the worker has ended.
    void go(Instant start) {
        start_ = start;
        post(go_);
    }
    void finish();
    void change_rate(double rate) {
        rate_.store(rate, std::memory_order_relaxed);
        post(change_rate_);
    }
    void join() { thread_.join(); }

    // Once joined.
    LoadResult result;
    std::exception_ptr failure;

  private:
    struct Order : Job {
        Order(Member& owner, void (*what)(Member&))
            : Job([](Job& job) noexcept {
                  auto& self = static_cast<Order&>(job);
                  self.given.store(false, std::memory_order_release);
                  self.give(self.member);
              }),
              member(owner),
              give(what) {}
        Member& member;
        void (*give)(Member&);
        std::atomic<bool> given = false;  // and not yet carried out
    };

    void run();
    void post(Order& order);
    void connected(Worker& worker) override;
    void measured(Block block) override;

    Crew& crew_;
    const WorkShare share_;
    Instant start_{};
    std::size_t blocks_ = 0;  // worker's thread only
    Order go_{*this, [](Member& self) { self.current()->go(self.start_); }};
    Order finish_{*this, [](Member& self) { self.current()->finish(); }};
    std::atomic<double> rate_ = 0;
    Order change_rate_{
        *this, [](Member& self) { self.current()->change_rate(self.rate_.load(std::memory_order_relaxed)); }};
    Worker* current() CONFAB_NO_THREAD_SAFETY_ANALYSIS { return worker_; }  // written by its own thread only
    Mutex mutex_;
    Worker* worker_ CONFAB_GUARDED_BY(mutex_) = nullptr;  // null: there is none to be told anything
    bool finish_wanted_ CONFAB_GUARDED_BY(mutex_) = false;
    threads::thread thread_;
};

/// All workers of a load, and the thread that looks after them.
class Crew final : Controls {
  public:
    Crew(const LoadOptions& load, const Endpoint& target, Observer& observer)
        : options(load),
          server(target),
          pattern(std::max(load.size * load.pipeline, ReactorOptions{}.receive_size),
                  load.app == App::upper ? &to_upper : nullptr),
          observer_(observer) {}

    LoadResult run();

    // From the workers' threads.
    void connected() {
        const MutexLock lock(mutex_);
        ++connected_;
        wake();
    }
    void measured(std::size_t index, Block block);
    void ended() {
        const MutexLock lock(mutex_);
        ++ended_;
        wake();
    }

    const LoadOptions& options;
    const Endpoint& server;
    const Pattern pattern;

  private:
    struct Part {
        Block sum;
        Histogram latency;
        std::size_t workers = 0;
    };
    struct News : Job {
        explicit News(Crew& owner)
            : Job([](Job& job) noexcept { static_cast<News&>(job).crew.arrived_.set(); }), crew(owner) {}
        Crew& crew;
    };

    void wake() CONFAB_REQUIRES(mutex_);
    void change_rate(double rate) override {
        for (Member& member : members_) member.change_rate(rate);
    }
    void finish() override {
        for (Member& member : members_) member.finish();
    }
    task<void> supervise();
    task<void> finish_at_signal();
    std::vector<Block> take_news(std::size_t& connected, std::size_t& ended);
    LoadResult sum_up();

    Observer& observer_;
    EndingSignals signals_;
    Reactor reactor_{ReactorOptions{}};
    std::deque<Member> members_;
    event arrived_;
    std::vector<Block> blocks_;
    News news_{*this};

    Mutex mutex_;
    bool told_ CONFAB_GUARDED_BY(mutex_) = false;  // true exactly when news_ is posted and not yet taken
    std::size_t connected_ CONFAB_GUARDED_BY(mutex_) = 0;
    std::size_t ended_ CONFAB_GUARDED_BY(mutex_) = 0;
    std::deque<Part> parts_
        CONFAB_GUARDED_BY(mutex_);  // blocks that some workers have measured, oldest first
    std::size_t first_part_ CONFAB_GUARDED_BY(mutex_) = 0;  // its number
};

// --- A member ---

void Member::start() {
    thread_ = threads::thread({.name = "load-" + std::to_string(share_.index + 1)}, [this] { run(); });
    thread_.start();
}

void Member::run() {
    try {
        Reactor reactor({.waiting = crew_.options.waiting});
        Worker worker(reactor, crew_.options, share_, crew_.server, crew_.pattern, *this);
        {
            const MutexLock lock(mutex_);
            worker_ = &worker;
            if (finish_wanted_) worker.finish();
        }
        reactor.hold();  // orders come from outside
        try {
            result = confab::run(reactor, worker.run(), "worker");
        } catch (...) {
            failure = std::current_exception();
        }
        reactor.release_hold();
        const MutexLock lock(mutex_);
        worker_ = nullptr;
    } catch (...) {
        failure = std::current_exception();
    }
    crew_.ended();
}

void Member::post(Order& order) {
    const MutexLock lock(mutex_);
    // One that is on its way already will do.
    if (worker_ == nullptr || order.given.exchange(true, std::memory_order_acquire)) return;
    worker_->reactor().post(order);
}

void Member::finish() {
    {
        const MutexLock lock(mutex_);
        finish_wanted_ = true;
    }
    post(finish_);
}

void Member::connected(Worker& /*worker*/) { crew_.connected(); }

void Member::measured(Block block) { crew_.measured(blocks_++, std::move(block)); }

// --- The crew ---

void Crew::wake() {
    if (std::exchange(told_, true)) return;
    reactor_.post(news_);
}

void Crew::measured(std::size_t index, Block block) {
    const MutexLock lock(mutex_);
    if (index < first_part_) return;  // it is told of already: a worker that had fallen far behind
    while (parts_.size() <= index - first_part_) parts_.emplace_back();
    Part& part = parts_[index - first_part_];
    part.sum.length = std::max(part.sum.length, block.length);
    part.sum.messages += block.messages;
    part.sum.faults += block.faults;
    part.latency.add(block.latency);
    if (++part.workers == options.threads) wake();
}

std::vector<Block> Crew::take_news(std::size_t& connected, std::size_t& ended) {
    std::vector<Block> whole;
    const MutexLock lock(mutex_);
    told_ = false;
    connected = connected_;
    ended = ended_;
    // At the end what only some have measured is all there is.
    while (!parts_.empty() && (parts_.front().workers == options.threads || ended == options.threads)) {
        Part& part = parts_.front();
        part.sum.latency = part.latency.buckets();
        whole.push_back(std::move(part.sum));
        parts_.pop_front();
        ++first_part_;
    }
    return whole;
}

LoadResult Crew::run() {
    for (std::size_t i = 0; i < options.threads; ++i) {
        members_.emplace_back(*this, WorkShare{.index = i, .of = options.threads});
    }
    reactor_.hold();
    confab::run(reactor_, supervise(), "load");
    reactor_.release_hold();
    for (Member& member : members_) member.join();
    return sum_up();
}

task<void> Crew::supervise() {
    scope helpers;
    helpers.spawn(finish_at_signal(), "signals");
    helpers.spawn(observer_.attend(*this), "attend");
    for (Member& member : members_) member.start();
    bool gone = false;
    for (std::size_t ended = 0, connected = 0; ended < members_.size();) {
        co_await arrived_.wait();
        arrived_.clear();
        std::vector<Block> news = take_news(connected, ended);
        if (!gone && connected == members_.size()) {
            gone = true;
            observer_.connected();
            const Instant start = Clock::now();
            for (Member& member : members_) member.go(start);
        }
        // Who failed before it was connected holds everybody up.
        if (!gone && ended > 0) finish();
        for (Block& block : news) {
            observer_.measured(block);
            blocks_.push_back(std::move(block));
        }
    }
    helpers.request_stop();
    co_await helpers.join();
}

task<void> Crew::finish_at_signal() {
    const std::expected<int, std::error_code> came = co_await poll_events(signals_.fd(), POLLIN);
    if (came) {
        signals_.take();
        signals_.restore();
        finish();
    }
    co_await close_descriptor(signals_.release().release());
}

LoadResult Crew::sum_up() {
    LoadResult all = std::move(members_.front().result);
    for (Member& member : members_) {
        if (member.failure) std::rethrow_exception(member.failure);
    }
    for (std::size_t i = 1; i < members_.size(); ++i) all += members_[i].result;
    all.blocks = std::move(blocks_);
    return all;
}

}  // namespace

LoadResult run_load(const LoadOptions& options, const Endpoint& server, Observer& observer) {
    LoadResult result = Crew(options, server, observer).run();
    if (result.served == 0 && result.faults.refused > 0 && result.starved == result.faults.refused) {
        throw std::runtime_error(result.first_loss);
    }
    return result;
}

}  // namespace confab::load
