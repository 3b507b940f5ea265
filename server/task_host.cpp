#include <spdlog/spdlog.h>

#include <algorithm>

#include "coro/listener.hpp"
#include "coro/run.hpp"
#include "coro/scope.hpp"
#include "coro/sleep.hpp"
#include "coro/wait_list.hpp"
#include "server/accept_loop.hpp"
#include "server/connection.hpp"
#include "server/host.hpp"

namespace confab {

namespace {

class TaskHost final : public Host {
  public:
    explicit TaskHost(HostContext& context) : context_(context), reactor_(context.reactor_options) {}

    void serve(std::vector<int> listeners, const std::function<void()>& begun) override {
        context_.warn_once(reactor_);
        worker_ = context_.application.make_worker(reactor_);
        scope connections(reactor_, OnFailure::ignore);
        connections_ = &connections;
        SlotQueue slots(context_.slots, reactor_);
        for (const int listener : listeners) connections.spawn(accept_from(listener, slots), "accept");
        begun();
        run_until_joined(reactor_, connections);
        worker_.reset();
        context_.add(reactor_.ledger());
    }

    void drain() override { drain_job_.post_to(reactor_); }

  private:
    task<void> accept_from(int listener, SlotQueue& slots) {
        try {
            AcceptLoop loop(listener, slots);
            while (true) {
                const int fd = co_await loop.next();
                if (context_.strategy.one_at_a_time()) {
                    co_await serve_with_slot(fd, slots);
                } else {
                    connections_->spawn(serve_with_slot(fd, slots), "connection");
                }
            }
        } catch (const task_canceled&) {
            // Draining.
        } catch (const std::system_error& broken) {
            spdlog::error("a listener is lost: {}", broken.what());
        }
        co_await close_descriptor(listener);
    }

    task<void> serve_with_slot(int fd, SlotQueue& slots) {
        co_await serve_connection(*worker_, fd, context_.stream_limits);
        slots.give_back();
    }

    HostContext& context_;
    Reactor reactor_;
    std::unique_ptr<Worker> worker_;
    scope* connections_ = nullptr;
    DrainJob drain_job_{[this] {
        worker_->drain();
        connections_->request_stop();
    }};
};

}  // namespace

std::unique_ptr<Host> make_task_host(HostContext& context) { return std::make_unique<TaskHost>(context); }

}  // namespace confab
