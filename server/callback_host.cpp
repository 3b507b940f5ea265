// Connections as explicit state machines, the way it was done before coroutines: what each does next is
// written down in a state, and a function per event looks it up. They run on the same reactor and the same
// operations as the coroutines do, so the difference between the two strategies is the price of coroutines
// and nothing else. (Only the connections: accepting is the same task as everywhere.)
#include <spdlog/spdlog.h>

#include <cerrno>
#include <unordered_set>
#include <utility>

#include "coro/diagnostics.hpp"
#include "coro/listener.hpp"
#include "coro/run.hpp"
#include "coro/scope.hpp"
#include "reactor/block_cache.hpp"
#include "reactor/outbox.hpp"
#include "server/accept_loop.hpp"
#include "server/host.hpp"

namespace confab {

namespace {

class CallbackHost;

class CallbackConnection : private Operation, private Outbox {
  public:
    CallbackConnection(CallbackHost& host, int descriptor)
        : Operation(Kind::receive, descriptor, &operation_over), Outbox(descriptor), host_(host) {
        keeps_timer = true;
    }

    void start() { receive(); }
    /// Closes as soon as nothing is owed.
    void end();

  private:
    enum class Phase : std::uint8_t {
        receiving,  ///< a receive is in flight
        sending,    ///< what did not fit goes out; nothing is received meanwhile: that is the back-pressure
        closing,    ///< a close is in flight
    };
    struct SentJob : Job {
        explicit SentJob(CallbackConnection& owner)
            : Job([](Job& job) noexcept { static_cast<SentJob&>(job).connection.sent(); }),
              connection(owner) {}
        CallbackConnection& connection;
    };

    static void operation_over(Operation& operation) noexcept;

    void receive();
    void received();
    void send(Bytes bytes);
    void sent();
    void close();

    CallbackHost& host_;
    SentJob sent_{*this};
    Phase phase_ = Phase::receiving;
    bool ending_ = false;
    bool spoken_ = false;  // true exactly when the peer has sent something
};

class CallbackHost final : public Host {
  public:
    CallbackHost(HostContext& context, Transform transform)
        : context_(context), reactor_(context.reactor_options), transform_(std::move(transform)) {}

    void serve(Inlet inlet, const std::function<void()>& begun) override {
        context_.warn_once(reactor_);
        scope tasks(reactor_, OnFailure::ignore);
        tasks_ = &tasks;
        SlotQueue slots(context_.slots, reactor_);
        slots_ = &slots;
        for (Source& source : inlet.sources) {
            tasks.spawn(accept_from(source.kind, source.fd.release()), "accept");
        }
        const Observed observed(reactor_, context_.next_name());
        begun();
        run_until_joined(reactor_, tasks);
        while (!connections_.empty()) reactor_.run();
        context_.add(reactor_.ledger());
    }

    void retire(HandOver /*hand_over*/) override { retire_job_.post_to(reactor_); }
    void drain() override { drain_job_.post_to(reactor_); }
    void post(Job& job) override { reactor_.post(job); }

    Reactor& reactor() { return reactor_; }
    const StreamLimits& limits() const { return context_.stream_limits; }
    void transform(LentBytes bytes) const { transform_(bytes); }

    void over(CallbackConnection& connection) {
        connections_.erase(&connection);
        block_cache::destroy(&connection);
        slots_->give_back();
        if (connections_.empty()) reactor_.stop();
    }

  private:
    task<void> accept_from(Source::Kind kind, int source) {
        try {
            AcceptLoop loop(kind, source, *slots_);
            while (true) {
                const int fd = co_await loop.next();
                auto* const connection = block_cache::make<CallbackConnection>(*this, fd);
                connections_.insert(connection);
                connection->start();
            }
        } catch (const task_canceled&) {
            // Draining.
        } catch (const std::system_error& broken) {
            spdlog::error("a listener is lost: {}", broken.what());
        }
        co_await close_descriptor(source);
    }

    HostContext& context_;
    Reactor reactor_;
    Transform transform_;
    scope* tasks_ = nullptr;
    SlotQueue* slots_ = nullptr;
    std::unordered_set<CallbackConnection*> connections_;
    HostJob retire_job_{[this] { tasks_->request_stop(); }};
    HostJob drain_job_{[this] {
        tasks_->request_stop();
        const std::vector<CallbackConnection*> all(connections_.begin(), connections_.end());
        for (CallbackConnection* const connection : all) connection->end();
    }};
};

void CallbackConnection::receive() {
    phase_ = Phase::receiving;
    kind = Kind::receive;
    deadline = after(host_.reactor().now(), spoken_ ? host_.limits().idle : host_.limits().first_byte);
    host_.reactor().submit(*this);  // a receive is never over at once
}

void CallbackConnection::operation_over(Operation& operation) noexcept {
    auto& self = static_cast<CallbackConnection&>(operation);
    switch (self.phase_) {
        case Phase::receiving:
            return self.received();
        case Phase::closing:
            return self.host_.over(self);
        case Phase::sending:
            break;  // the outbox does that
    }
}

void CallbackConnection::received() {
    if (result <= 0) return close();  // the end, an error, silence for too long, or `end`
    spoken_ = true;
    host_.transform(bytes);
    send(bytes);
}

void CallbackConnection::send(Bytes echoed) {
    const int count = host_.reactor().send_now(fd, echoed);
    if (count < 0 && count != -EAGAIN) return close();
    const std::size_t gone = count < 0 ? 0 : static_cast<std::size_t>(count);
    if (gone == echoed.size()) return ending_ ? close() : receive();
    phase_ = Phase::sending;
    push(SharedBytes::copy_of(echoed.subspan(gone)));
    flush(host_.limits().send);
    sending() ? when_idle(sent_) : sent();
}

void CallbackConnection::sent() {
    if (error() != 0 || ending_) return close();
    receive();
}

void CallbackConnection::end() {
    ending_ = true;
    if (phase_ == Phase::receiving) host_.reactor().cancel(*this);
}

void CallbackConnection::close() {
    phase_ = Phase::closing;
    host_.reactor().disarm(*this);
    kind = Kind::close;
    deadline = never;
    if (host_.reactor().submit(*this)) host_.over(*this);
}

}  // namespace

std::unique_ptr<Host> make_callback_host(HostContext& context, Transform transform) {
    return std::make_unique<CallbackHost>(context, std::move(transform));
}

}  // namespace confab
