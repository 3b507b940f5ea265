#include "coro/join_all.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <stdexcept>
#include <vector>

#include "coro/event.hpp"
#include "coro/sleep.hpp"
#include "tests/support/run_task.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

task<int> give_after(Duration delay, int value) {
    co_await sleep(delay);
    co_return value;
}

task<int> fail_after(Duration delay, int value) {
    co_await sleep(delay);
    throw std::runtime_error(std::to_string(value));
}

task<void> refuse_to_die(event& released) {
    const shield undisturbed;
    co_await released.wait();
}

}  // namespace

TEST_CASE("joining all waits until all are over, however they end, and duplicates count once") {
    run_task([]() -> task<void> {
        scope tasks(OnFailure::ignore);
        const child<int> one = tasks.spawn(give_after(2ms, 1));
        const child<int> two = tasks.spawn(fail_after(1ms, 2));
        const child<int> three = tasks.spawn(give_after(1h, 3));
        three.kill();
        const std::size_t joined = co_await join_all(std::vector{one, two, one, three, three});
        CHECK(joined == 3);
        CHECK(one.successful());
        CHECK(two.failed());
        CHECK(three.canceled());
        const std::size_t again = co_await join_all(one, two, three);
        CHECK(again == 3);
        const std::size_t none = co_await join_all(std::vector<any_child>());
        CHECK(none == 0);
    }());
}

TEST_CASE("joining with a count returns when that many are over") {
    run_task([]() -> task<void> {
        scope tasks;
        const std::vector all{tasks.spawn(give_after(1h, 1)), tasks.spawn(give_after(1ms, 2)),
                              tasks.spawn(give_after(2h, 3))};
        const std::size_t joined = co_await join_all(all, {.count = 1});
        CHECK(joined == 1);
        CHECK(all[1].ready());
        CHECK_FALSE(all[0].ready());
        tasks.request_stop();
        co_await tasks.join();
    }());
}

TEST_CASE("joining with raise_error throws what the first that failed threw, without waiting for the rest") {
    std::string thrown;
    run_task([](std::string& what) -> task<void> {
        scope tasks(OnFailure::ignore);
        const std::vector all{tasks.spawn(fail_after(2ms, 1)), tasks.spawn(fail_after(1ms, 2)),
                              tasks.spawn(give_after(1h, 3))};
        try {
            co_await join_all(all, {.raise_error = true});
        } catch (const std::runtime_error& error) {
            what = error.what();
        }
        CHECK_FALSE(all[2].ready());
        tasks.request_stop();
        co_await tasks.join();
    }(thrown));
    CHECK(thrown == "2");
}

TEST_CASE("joining with a limit gives the number that were over in time") {
    run_task([]() -> task<void> {
        scope tasks;
        const std::vector all{tasks.spawn(give_after(0ms, 1)), tasks.spawn(give_after(1h, 2))};
        const std::size_t at_once = co_await join_all(all, {.limit = -1s});
        CHECK(at_once == 0);
        const std::size_t in_time = co_await join_all(all, {.limit = 5ms});
        CHECK(in_time == 1);
        tasks.request_stop();
        co_await tasks.join();
    }());
}

TEST_CASE("waiting for any gives the place of the first that is over") {
    run_task([]() -> task<void> {
        scope tasks;
        const child<int> slow = tasks.spawn(give_after(1h, 1));
        const child<void> quick = tasks.spawn([]() -> task<void> { co_return; }());
        const std::size_t place = co_await wait_any(slow, quick);
        CHECK(place == 1);
        const std::size_t over_already = co_await wait_any(std::vector<any_child>{quick, slow, quick});
        CHECK(over_already == 0);
        tasks.request_stop();
        co_await tasks.join();
    }());
}

TEST_CASE("completions gives tasks in the order in which they end") {
    std::vector<int> order;
    run_task([](std::vector<int>& values) -> task<void> {
        scope tasks;
        auto results =
            as_completed(std::vector{tasks.spawn(give_after(30ms, 3)), tasks.spawn(give_after(0ms, 0)),
                                     tasks.spawn(give_after(10ms, 1))});
        results.add(tasks.spawn(give_after(20ms, 2)));
        while (results.size() > 0) {
            const std::optional<child<int>> result = co_await results.next();
            const int value = co_await result->get();
            values.push_back(value);
        }
        const std::optional<child<int>> none = co_await results.next();
        CHECK_FALSE(none);
        co_await tasks.join();
    }(order));
    CHECK(order == std::vector{0, 1, 2, 3});
}

TEST_CASE("completions that die or are out of time leave no link behind") {
    run_task([]() -> task<void> {
        scope tasks;
        const child<int> work = tasks.spawn(give_after(10ms, 1));
        {
            completions<child<int>> abandoned;
            abandoned.add(work);
            abandoned.add(work);
            const std::optional<child<int>> late = co_await abandoned.next_for(1ms);
            CHECK_FALSE(late);
            CHECK(abandoned.size() == 2);
        }
        const int value = co_await work.get();  // and nobody is told who is no more
        CHECK(value == 1);
        co_await tasks.join();
    }());
}

TEST_CASE("killing all gives up after its limit on a task that will not die, and its scope still counts it") {
    run_task([]() -> task<void> {
        event released;
        scope tasks;
        const child<int> mortal = tasks.spawn(give_after(1h, 1));
        const child<void> immortal = tasks.spawn(refuse_to_die(released));
        co_await sleep(0s);
        const bool all_dead = co_await kill_all(std::vector<any_child>{mortal, immortal, mortal}, 1ms);
        CHECK_FALSE(all_dead);
        CHECK(mortal.canceled());
        CHECK_FALSE(immortal.ready());
        CHECK(tasks.size() == 1);
        released.set();
        const bool dead_now = co_await kill_all(std::vector{immortal});
        CHECK(dead_now);
        co_await tasks.join();
    }());
}
