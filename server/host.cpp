#include "server/host.hpp"

#include <spdlog/spdlog.h>

#include <utility>

namespace confab {

void HostContext::add(const Ledger& of_one_reactor) {
    const MutexLock lock(mutex);
    ledger += of_one_reactor;
}

void HostContext::warn_once(const Reactor& reactor) {
    if (reactor.warning().empty()) return;
    const MutexLock lock(mutex);
    if (!std::exchange(warned, true)) spdlog::warn("{}", reactor.warning());
}

std::string HostContext::next_name() {
    const MutexLock lock(mutex);
    return "reactor " + std::to_string(reactors++);
}

ServerContext::ServerContext(const ServerOptions& options, Application& application,
                             ConnectionSlots::Others others, Pulse* pulse)
    : reactor_options{.waiting = options.strategy.waiting,
                      .uring_features = options.uring_features,
                      .shares_listeners = options.strategy.processes.kind == ProcessCount::Kind::fork,
                      .pulse = pulse},
      stream_limits{
          .first_byte = options.limits.first_byte, .idle = options.limits.idle, .send = options.limits.send},
      slots(options.limits.connections, std::move(others)),
      shared{.application = application,
             .strategy = options.strategy,
             .reactor_options = reactor_options,
             .stream_limits = stream_limits,
             .slots = slots} {}

Ledger ServerContext::ledger() {
    const MutexLock lock(shared.mutex);
    return shared.ledger;
}

void Host::adopt(Traveller /*traveller*/) {
    throw std::logic_error("connections of this strategy do not travel");
}

std::unique_ptr<Host> make_host(HostContext& context, Transform callback_transform) {
    if (context.strategy.threads.count == ThreadCount::each) return make_thread_host(context);
    if (context.strategy.callbacks) return make_callback_host(context, std::move(callback_transform));
    return make_task_host(context);
}

HostJob::HostJob(std::function<void()> work)
    : Job([](Job& job) noexcept { static_cast<HostJob&>(job).work_(); }), work_(std::move(work)) {}

}  // namespace confab
