#include <pthread.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <system_error>
#include <unordered_set>
#include <vector>

#include "coro/diagnostics.hpp"
#include "coro/listener.hpp"
#include "coro/run.hpp"
#include "coro/scope.hpp"
#include "coro/sleep.hpp"
#include "server/accept_loop.hpp"
#include "server/connection.hpp"
#include "server/host.hpp"
#include "server/travel_desk.hpp"

namespace confab {

namespace {

// Handlers are coroutines, so their locals live in frames; what is left for the stack is shallow.
constexpr std::size_t stack_size = 256 * 1024;

// Threads are made for connections; when the system has no more, they are tried again after a while.
constexpr Duration pause_without_threads = std::chrono::milliseconds(50);

class ThreadHost;

/// A connection with a thread and a reactor of its own. Made by the host, freed by it once the thread has
/// ended.
class ConnectionThread : public Job {
  public:
    /// A fresh connection, or one that goes on here.
    ConnectionThread(ThreadHost& host, int fd);
    ConnectionThread(ThreadHost& host, Traveller traveller);

    /// 0, or the errno of pthread_create(3).
    int start();
    void join() { pthread_join(thread_, nullptr); }

    /// Asks the connection to end, if it has begun. Called under the host's lock, which keeps the reactor
    /// alive.
    void drain() {
        if (reactor_ != nullptr) drain_job_.post_to(*reactor_);
    }
    /// The same, to go on elsewhere.
    void move() {
        if (reactor_ != nullptr) move_job_.post_to(*reactor_);
    }

  private:
    friend class ThreadHost;
    class Published;
    void run_on_thread();

    ThreadHost& host_;
    Traveller traveller_;  // nothing of it but the descriptor when nobody has served it yet
    const bool goes_on_;
    bool stays_ = false;  // true exactly when it was sent on, and nobody has taken it
    pthread_t thread_{};
    Reactor* reactor_ = nullptr;  // guarded by the host's lock; null unless the reactor runs
    // The connection's own thread only; null unless the reactor runs.
    Worker* worker_ = nullptr;
    scope* tasks_ = nullptr;
    HostJob drain_job_{[this] {
        // Asked for in the last turn of the connection, it runs when its worker's end turns the reactor.
        if (worker_ == nullptr) return;
        worker_->drain();
        tasks_->request_stop();
    }};
    HostJob move_job_{[this] {
        if (tasks_ != nullptr) tasks_->request_stop(StopReason::moved);
    }};
};

class ThreadHost final : public Host {
  public:
    explicit ThreadHost(HostContext& context) : context_(context), reactor_(context.reactor_options) {}

    void serve(Inlet inlet, const std::function<void()>& begun) override {
        context_.warn_once(reactor_);
        scope tasks(reactor_, OnFailure::ignore);
        tasks_ = &tasks;
        SlotQueue slots(context_.slots, reactor_);
        slots_ = &slots;
        for (Source& source : inlet.sources) {
            tasks.spawn(accept_from(source.kind, source.fd.release()), "accept");
        }
        const Observed observed(reactor_, "acceptor");
        begun();
        run_until_joined(reactor_, tasks);
        // Each thread's end, and each answer about a connection that was sent on, stops this run.
        while (!threads_empty() || desk_.is_waiting() || tasks.size() > 0) reactor_.run();
        context_.add(reactor_.ledger());
    }

    void retire(HandOver hand_over) override {
        moves_ = hand_over != nullptr;
        desk_.open(std::move(hand_over));
        retire_job_.post_to(reactor_);
    }
    void adopt(Traveller traveller) override { desk_.adopt(std::move(traveller)); }
    void drain() override { drain_job_.post_to(reactor_); }
    void post(Job& job) override { reactor_.post(job); }

  private:
    friend class ConnectionThread;

    task<void> accept_from(Source::Kind kind, int source) {
        AcceptLoop loop(kind, source, *slots_);
        try {
            while (true) {
                const int fd = co_await loop.next();
                const bool started = co_await start(std::make_unique<ConnectionThread>(*this, fd));
                if (!started) break;
            }
        } catch (const task_canceled&) {
            // Draining.
        } catch (const std::system_error& broken) {
            spdlog::error("a listener is lost: {}", broken.what());
        }
        if (!retiring_) {
            co_await close_descriptor(source);
            co_return;
        }
        const std::vector<int> last = co_await loop.leave();
        for (const int fd : last) {
            const bool started = co_await start(std::make_unique<ConnectionThread>(*this, fd));
            if (!started) break;
        }
    }

    // One that comes from elsewhere, or comes back since nobody has taken it.
    void arrive(Traveller traveller, bool returned) {
        slots_->move_in();
        auto thread = std::make_unique<ConnectionThread>(*this, std::move(traveller));
        thread->stays_ = returned;
        tasks_->spawn(start_arrived(std::move(thread)), "arrive");
    }
    task<void> start_arrived(std::unique_ptr<ConnectionThread> thread) {
        const bool started = co_await start(std::move(thread));
        if (!started) slots_->give_back();
    }

    /// False: asked to stop before there was a thread; the connection is closed.
    task<bool> start(std::unique_ptr<ConnectionThread> thread) {
        add(*thread);
        bool said = false;
        int error = thread->start();
        while (error != 0) {
            if (!said) spdlog::warn("no thread for a connection: {}", std::generic_category().message(error));
            said = true;
            try {
                co_await sleep(pause_without_threads);
            } catch (const task_canceled&) {
                error = 0;
            }
            if (error == 0) {
                remove(*thread);
                co_return false;
            }
            error = thread->start();
        }
        thread.release();  // NOLINT(bugprone-unused-return-value): it frees itself through `over`
        co_return true;
    }

    void add(ConnectionThread& thread) {
        const MutexLock lock(mutex_);
        threads_.insert(&thread);
    }
    void remove(ConnectionThread& thread) {
        const MutexLock lock(mutex_);
        threads_.erase(&thread);
    }
    bool threads_empty() {
        const MutexLock lock(mutex_);
        return threads_.empty();
    }

    // The last words of a connection's thread: the host joins it on its own thread.
    static void over(Job& job) noexcept {
        auto& thread = static_cast<ConnectionThread&>(job);
        ThreadHost& self = thread.host_;
        thread.join();
        self.remove(thread);
        delete &thread;
        self.slots_->give_back();
        self.reactor_.release_hold();
        self.reactor_.stop();
    }

    HostContext& context_;
    Reactor reactor_;
    scope* tasks_ = nullptr;
    SlotQueue* slots_ = nullptr;
    bool retiring_ = false;
    HostJob retire_job_{[this] {
        retiring_ = true;
        tasks_->request_stop();
        if (!moves_) return;
        const MutexLock lock(mutex_);
        moving_ = true;
        for (ConnectionThread* const thread : threads_) {
            if (!thread->stays_) thread->move();
        }
    }};
    HostJob drain_job_{[this] {
        tasks_->request_stop();
        const MutexLock lock(mutex_);
        draining_ = true;
        for (ConnectionThread* const thread : threads_) thread->drain();
    }};

    Mutex mutex_;
    std::unordered_set<ConnectionThread*> threads_ CONFAB_GUARDED_BY(mutex_);
    bool moving_ CONFAB_GUARDED_BY(mutex_) = false;
    bool draining_ CONFAB_GUARDED_BY(mutex_) = false;
    TravelDesk desk_{reactor_,
                     [this](Traveller traveller, bool returned) { arrive(std::move(traveller), returned); }};
    bool moves_ = false;  // when it retires
};

ConnectionThread::ConnectionThread(ThreadHost& host, int fd)
    : Job(&ThreadHost::over), host_(host), traveller_{.connection = Fd(fd)}, goes_on_(false) {}

ConnectionThread::ConnectionThread(ThreadHost& host, Traveller traveller)
    : Job(&ThreadHost::over), host_(host), traveller_(std::move(traveller)), goes_on_(true) {}

int ConnectionThread::start() {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_size);
    host_.reactor_.hold();
    const int error = pthread_create(
        &thread_, &attributes,
        [](void* self) -> void* {
            static_cast<ConnectionThread*>(self)->run_on_thread();
            return nullptr;
        },
        this);
    if (error != 0) host_.reactor_.release_hold();
    pthread_attr_destroy(&attributes);
    return error;
}

// While it lives, the host can have the connection end.
class ConnectionThread::Published {
  public:
    Published(ConnectionThread& thread, Reactor& reactor, Worker& worker, scope& tasks) : thread_(thread) {
        thread_.worker_ = &worker;
        thread_.tasks_ = &tasks;
        const MutexLock lock(thread_.host_.mutex_);
        thread_.reactor_ = &reactor;
        if (thread_.host_.moving_ && !thread_.stays_) thread_.move();
        if (thread_.host_.draining_) thread_.drain();
    }
    Published(const Published&) = delete;
    Published& operator=(const Published&) = delete;
    ~Published() {
        thread_.worker_ = nullptr;
        thread_.tasks_ = nullptr;
        const MutexLock lock(thread_.host_.mutex_);
        thread_.reactor_ = nullptr;
    }

  private:
    ConnectionThread& thread_;
};

void ConnectionThread::run_on_thread() {
    try {
        Reactor reactor(host_.context_.reactor_options);
        const std::unique_ptr<Worker> worker = host_.context_.application.make_worker(reactor);
        scope tasks(reactor, OnFailure::ignore);
        const Connection::Place place{
            *worker, host_.context_.stream_limits, nullptr,
            [this](Traveller traveller) { host_.desk_.send_on(std::move(traveller)); }};
        if (goes_on_) {
            Connection::arrive(tasks, place, std::move(traveller_));
        } else {
            Connection::start(tasks, place, traveller_.connection.release());
        }
        {
            const Published published(*this, reactor, *worker, tasks);
            const Observed observed(reactor, host_.context_.next_name());
            run_until_joined(reactor, tasks);
        }
        host_.context_.add(reactor.ledger());
    } catch (const std::exception& thrown) {
        spdlog::error("a connection is refused: {}", thrown.what());
    }
    host_.reactor_.post(*this);
}

}  // namespace

std::unique_ptr<Host> make_thread_host(HostContext& context) { return std::make_unique<ThreadHost>(context); }

}  // namespace confab
