// What gevent's tests promise of what greenlets wait for, and ours of tasks: the parity list's items 116 to
// 119.
#include <doctest/doctest.h>

#include <ranges>
#include <stdexcept>
#include <string>

#include "coro/channel.hpp"
#include "coro/event.hpp"
#include "coro/imap.hpp"
#include "coro/mutex.hpp"
#include "coro/semaphore.hpp"
#include "coro/sleep.hpp"
#include "coro/task_group.hpp"
#include "coro/timeout.hpp"
#include "tests/support/run_task.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

task<int> give_after(Duration delay, int value) {
    co_await sleep(delay);
    co_return value;
}

// A wait that is interrupted from outside, then the same object used by another.
template <class Wait, class Enable>
task<void> interrupt_one_of_two(Wait wait, Enable enable) {
    scope tasks;
    const child<void> survivor = tasks.spawn(wait());
    const auto interrupted = co_await with_timeout(1ms, wait());
    CHECK(interrupted.error() == std::errc::timed_out);
    const child<void> killed = tasks.spawn(wait());
    co_await sleep(0s);
    killed.kill();
    co_await killed.join();
    CHECK(killed.canceled());
    CHECK_FALSE(survivor.ready());
    enable();
    co_await tasks.join();
    CHECK(survivor.successful());
}

}  // namespace

TEST_CASE(
    "parity 116: a wait that a limit or a kill interrupts leaves its object usable, and the other waiter "
    "gets its "
    "turn") {
    run_task([]() -> task<void> {
        event door;
        co_await interrupt_one_of_two(
            [&door] { return [](event& e) -> task<void> { co_await e.wait(); }(door); },
            [&door] { door.set(); });

        mutex guarded;
        mutex::guard held = guarded.try_lock();
        co_await interrupt_one_of_two(
            [&guarded] {
                return [](mutex& m) -> task<void> { const auto lock = co_await m.lock(); }(guarded);
            },
            [&held] { held.unlock(); });
        CHECK_FALSE(guarded.is_locked());

        semaphore permits(0);
        co_await interrupt_one_of_two(
            [&permits] { return [](semaphore& s) -> task<void> { co_await s.acquire(); }(permits); },
            [&permits] { permits.release(); });
        CHECK(permits.available() == 0);

        channel<int> items(0);
        co_await interrupt_one_of_two(
            [&items] {
                return [](channel<int>& c) -> task<void> {
                    const auto item = co_await c.get();
                    CHECK(item == 1);
                }(items);
            },
            [&items] { CHECK(items.try_put(1)); });
        int putter = 0;
        co_await interrupt_one_of_two(
            [&items, &putter] {
                return [](channel<int>& c, int value) -> task<void> {
                    const auto put = co_await c.put(value);
                    CHECK(put);
                }(items, ++putter);
            },
            [&items] { CHECK(*items.try_get() == 1); });

        scope tasks;
        event ended;
        const child<void> joined = tasks.spawn([](event& e) -> task<void> { co_await e.wait(); }(ended));
        co_await interrupt_one_of_two(
            [&joined] { return [](child<void> c) -> task<void> { co_await c.join(); }(joined); },
            [&ended] { ended.set(); });
        co_await tasks.join();
    }());
}

TEST_CASE(
    "parity 117: a group spawns when it has a place, tells its free places, joins in time or not, nests in "
    "1") {
    run_task([]() -> task<void> {
        event door;
        task_group group(2);
        const auto wait = [](event& e) -> task<void> { co_await e.wait(); };
        CHECK(group.free_count() == 2);
        co_await group.spawn(wait(door));
        co_await group.spawn(wait(door));
        CHECK(group.free_count() == 0);
        CHECK_FALSE(group.try_spawn(wait(door)));
        const child<void> late = co_await group.spawn_for(1ms, wait(door));
        CHECK_FALSE(late);
        const bool joined = co_await group.join_for(1ms);
        CHECK_FALSE(joined);
        door.set();
        const bool joined_now = co_await group.join_for(1ms);
        CHECK(joined_now);
        CHECK(group.free_count() == 2);

        const task_group always_full(0);
        CHECK(always_full.full());
        CHECK_THROWS_AS(task_group(-1), std::invalid_argument);

        task_group single(1);
        const int nested = co_await single.apply([](task_group& outer) -> task<int> {
            co_return co_await outer.apply(give_after(1ms, 5));
        }(single));
        CHECK(nested == 5);
        co_await single.join();
    }());
}

TEST_CASE("parity 118: imap with a bound of 1 keeps its producers at most 2 ahead of a slow reader") {
    run_task([]() -> task<void> {
        int produced = 0;
        task_group group(10);
        const auto produce = [&produced](int value) {
            return [](int& count, int input) -> task<int> {
                ++count;
                co_return input;
            }(produced, value);
        };
        imap values(group, produce, std::views::iota(0, 10), 1);
        for (int read = 0; read < 10; ++read) {
            const std::optional<int> value = co_await values.next();
            CHECK(value == read);
            co_await sleep(10ms);
            CHECK(produced <= read + 1 + 2);
        }
        co_await group.join();
    }());
}

TEST_CASE(
    "parity 119: a rendezvous put returns only when its value was taken; a waiting getter is handed it "
    "directly") {
    std::string log;
    run_task([](std::string& trace) -> task<void> {
        channel<int> meeting(0);
        scope tasks;
        tasks.spawn([](channel<int>& c, std::string& text) -> task<void> {
            for (int i = 1; i <= 2; ++i) {
                const auto put = co_await c.put(i);
                CHECK(put);
                text += "put ";
            }
        }(meeting, trace));
        for (int i = 0; i < 3; ++i) co_await sleep(0s);
        CHECK(trace.empty());
        const auto first = co_await meeting.get();
        CHECK(first == 1);
        const auto second = co_await meeting.get();
        CHECK(second == 2);
        co_await tasks.join();
    }(log));
    CHECK(log == "put put ");
}

TEST_CASE(
    "parity 119: put and get that do not wait may be called from a job of the loop, and unlock who waits") {
    struct PutJob : Job {
        explicit PutJob(channel<int>& target)
            : Job([](Job& job) noexcept {
                  channel<int>& c = static_cast<PutJob&>(job).items;
                  CHECK(c.try_get().error() == channel_error::empty);
                  CHECK(c.try_put(1));
              }),
              items(target) {}
        channel<int>& items;
    };
    run_task([]() -> task<void> {
        channel<int> items(1);
        PutJob job(items);
        TaskContext::current()->reactor().ready(job);
        const auto item = co_await items.get();
        CHECK(item == 1);
    }());
}

TEST_CASE(
    "parity 119: waiting when nothing is left that could ever end the wait is a deadlock, and said so") {
    const auto wait_for_an_item = []() -> task<void> {
        channel<int> items(0);
        const auto item = co_await items.get();
        CHECK(item);
    };
    CHECK_THROWS_AS(run_task(wait_for_an_item()), deadlock_error);
}
