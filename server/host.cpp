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

DrainJob::DrainJob(std::function<void()> drain)
    : Job([](Job& job) noexcept { static_cast<DrainJob&>(job).drain_(); }), drain_(std::move(drain)) {}

}  // namespace confab
