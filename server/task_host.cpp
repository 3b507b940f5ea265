#include <spdlog/spdlog.h>

#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "coro/diagnostics.hpp"
#include "coro/listener.hpp"
#include "coro/run.hpp"
#include "coro/scope.hpp"
#include "server/accept_loop.hpp"
#include "server/connection.hpp"
#include "server/host.hpp"
#include "server/travel_desk.hpp"

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
        scope kept(reactor_, OnFailure::ignore);
        kept_ = &kept;
        SlotQueue slots(context_.slots, reactor_);
        slots_ = &slots;
        place_.emplace(
            Connection::Place{*worker_, context_.stream_limits, &slots,
                              [this](Traveller traveller) { desk_.send_on(std::move(traveller)); }});
        std::vector<Acceptor> acceptors(inlet.sources.size());
        acceptors_ = acceptors;
        for (std::size_t i = 0; i < acceptors.size(); ++i) {
            Source& source = inlet.sources[i];
            acceptors[i].accepting = connections.spawn(
                accept_from(source.kind, source.fd.release(), slots, acceptors[i]), "accept");
        }
        if (inlet.connection) Connection::start(connections, *place_, inlet.connection.release());
        const Observed observed(reactor_, context_.next_name());
        begun();
        run_until_joined(reactor_, connections);
        while (desk_.is_waiting()) reactor_.run();
        run_until_joined(reactor_, kept);
        worker_.reset();
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
    struct Acceptor {
        child<void> accepting;
        bool serves = false;  // its connection, before it goes on: it has its time when the host retires
    };

    task<void> accept_from(Source::Kind kind, int source, SlotQueue& slots, Acceptor& self) {
        AcceptLoop loop(kind, source, slots);
        try {
            while (!retiring_) {
                const int fd = co_await loop.next();
                if (context_.strategy.one_at_a_time()) {
                    scope one;
                    Connection::start(one, *place_, fd);
                    self.serves = true;
                    co_await one.join();
                    self.serves = false;
                } else {
                    Connection::start(*connections_, *place_, fd);
                }
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
        for (const int fd : last) Connection::start(*connections_, *place_, fd);
    }

    // One that nobody has taken stays to its end.
    void arrive(Traveller traveller, bool returned) {
        if (worker_ == nullptr) return;  // it has ended, and they end with it
        slots_->move_in();
        Connection::arrive(returned ? *kept_ : *connections_, *place_, std::move(traveller));
    }

    HostContext& context_;
    Reactor reactor_;
    std::unique_ptr<Worker> worker_;
    scope* connections_ = nullptr;
    scope* kept_ = nullptr;  // for those that were to go and that nobody took
    SlotQueue* slots_ = nullptr;
    TravelDesk desk_{reactor_,
                     [this](Traveller traveller, bool returned) { arrive(std::move(traveller), returned); }};
    bool moves_ = false;  // when it retires
    std::span<Acceptor> acceptors_;
    bool retiring_ = false;
    std::optional<Connection::Place> place_;
    // It may be over before it is asked to end, and its worker's end turns the reactor.
    HostJob retire_job_{[this] {
        if (worker_ == nullptr) return;
        retiring_ = true;
        for (const Acceptor& acceptor : acceptors_) {
            if (!acceptor.serves) acceptor.accepting.kill();
        }
        if (moves_) connections_->request_stop(StopReason::moved);
    }};
    HostJob drain_job_{[this] {
        if (worker_ == nullptr) return;
        worker_->drain();
        connections_->request_stop();
        kept_->request_stop();
    }};
};

}  // namespace

std::unique_ptr<Host> make_task_host(HostContext& context) { return std::make_unique<TaskHost>(context); }

}  // namespace confab
