// The list of those who sleep in a channel between processes: pools/processes/channel_parts.hpp.
#include <doctest/doctest.h>

#include <functional>
#include <memory>

#include "pools/processes/channel_parts.hpp"
#include "pools/processes/shared_memory.hpp"
#include "tests/support/child.hpp"

using namespace confab;
using processes::shared;
using processes::WaitList;

namespace {

// Waits until it is woken; false when nobody did. `on_my_way` is called when it is counted, and does not
// sleep yet.
bool sleep_in(WaitList& list, const std::function<void()>& on_my_way) {
    const std::uint32_t seen = list.seen();
    bool is_watching = true;
    const auto happened = [&] {
        if (!is_watching) on_my_way();
        return false;
    };
    static_cast<void>(list.wait(seen, Instant::min(), happened));  // after it one does not watch any more
    is_watching = false;
    return list.wait(seen, never, happened);
}

}  // namespace

TEST_CASE("who goes to sleep as a wake-up comes leaves the others on the list") {
    const shared<WaitList> list;
    std::unique_ptr<Child> other;
    const bool is_woken = sleep_in(*list, [&] {
        list->wake(1);  // finds nobody asleep
        other = std::make_unique<Child>([&] { return sleep_in(*list, [] {}) ? 0 : 1; });
        other->until_asleep();
    });
    CHECK(is_woken);
    list->wake(1);
    CHECK(other->join() == 0);
}
