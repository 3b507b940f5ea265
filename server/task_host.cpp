#include <spdlog/spdlog.h>

#include <optional>

#include "coro/diagnostics.hpp"
#include "coro/listener.hpp"
#include "coro/run.hpp"
#include "coro/scope.hpp"
#include "server/accept_loop.hpp"
#include "server/connection.hpp"
#include "server/host.hpp"

namespace confab {

namespace {

class TaskHost final : public Host {
  public:
    explicit TaskHost(HostContext& context) : context_(context), reactor_(context.reactor_options) {}

    void serve(Inlet inlet, const std::function<void()>& begun) override {
        context_.warn_once(reactor_);
        worker_ = context_.application.make_worker(reactor_);
        scope connections(reactor_, OnFailure::ignore);
        connections_ = &connections;
        SlotQueue slots(context_.slots, reactor_);
        place_.emplace(Connection::Place{*worker_, context_.stream_limits, &slots});
        for (Source& source : inlet.sources) {
            connections.spawn(accept_from(source.kind, source.fd.release(), slots), "accept");
        }
        if (inlet.connection) Connection::start(connections, *place_, inlet.connection.release());
        const Observed observed(reactor_, context_.next_name());
        begun();
        run_until_joined(reactor_, connections);
        worker_.reset();
        context_.add(reactor_.ledger());
    }

    void drain() override { drain_job_.post_to(reactor_); }
    void post(Job& job) override { reactor_.post(job); }

  private:
    task<void> accept_from(Source::Kind kind, int source, SlotQueue& slots) {
        try {
            AcceptLoop loop(kind, source, slots);
            while (true) {
                const int fd = co_await loop.next();
                if (context_.strategy.one_at_a_time()) {
                    scope one;
                    Connection::start(one, *place_, fd);
                    co_await one.join();
                } else {
                    Connection::start(*connections_, *place_, fd);
                }
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
    std::unique_ptr<Worker> worker_;
    scope* connections_ = nullptr;
    std::optional<Connection::Place> place_;
    DrainJob drain_job_{[this] {
        // Without listeners it may be over before it is asked to end; its worker's end turns the reactor.
        if (worker_ == nullptr) return;
        worker_->drain();
        connections_->request_stop();
    }};
};

}  // namespace

std::unique_ptr<Host> make_task_host(HostContext& context) { return std::make_unique<TaskHost>(context); }

}  // namespace confab
