// What events and conditions promise, between threads and between processes: items 37 to 42 of the parity
// list.
#include <doctest/doctest.h>

#include <mutex>
#include <stdexcept>
#include <stop_token>

#include "pools/guard.hpp"
#include "tests/pools/sync_backends.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

template <class Backend>
struct Room {
    typename Backend::mutex lock;
    typename Backend::condition changed;
    int entered = 0;  // how many were about to wait
    int woken = 0;
    int value = 0;
};

// So many that wait once for a notification; they sleep when this returns.
template <class Backend>
auto start_waiters(Room<Backend>& room, int count) {
    auto waiters = start<Backend>(count, [&room](int) {
        guard held(room.lock);
        ++room.entered;
        room.changed.wait(held);
        ++room.woken;
        return 0;
    });
    until([&] {
        const guard held(room.lock);
        return room.entered == count;
    });
    for (const auto& waiter : waiters) waiter.until_asleep();
    return waiters;
}

template <class Backend>
int woken(Room<Backend>& room) {
    const guard held(room.lock);
    return room.woken;
}

}  // namespace

TEST_CASE_TEMPLATE("parity 37: an event is waited for until it is set, and looked at after that", Backend,
                   Threads, Processes) {
    typename Backend::template Place<typename Backend::event> event;
    CHECK_FALSE(event->is_set());
    CHECK_FALSE(event->wait_for(1ms));
    CHECK_FALSE(event->wait_for(0ms));
    CHECK_FALSE(event->wait_for(-1h));
    event->set();
    event->set();
    CHECK(event->is_set());
    event->wait();
    CHECK(event->wait_for(0ms));
    CHECK(event->wait_until(Instant::min()));
    event->clear();
    event->clear();
    CHECK_FALSE(event->is_set());
    CHECK_FALSE(event->wait_until(after(Clock::now(), 1ms)));
    CHECK(typename Backend::event(true).is_set());
}

TEST_CASE_TEMPLATE("parity 37: setting an event wakes all who wait", Backend, Threads, Processes) {
    typename Backend::template Place<typename Backend::event> event;
    auto waiters = start<Backend>(5, [&](int number) {
        if (number == 0) return event->wait_for(1h) ? 0 : 1;
        event->wait();
        return 0;
    });
    for (const auto& waiter : waiters) waiter.until_asleep();
    event->set();
    CHECK(join(waiters) == std::vector<int>(5, 0));
}

TEST_CASE_TEMPLATE("parity 38: who waited when an event was set goes on, even if it is cleared at once",
                   Backend, Threads, Processes) {
    typename Backend::template Place<typename Backend::event> event;
    for (int round = 0; round < 20; ++round) {
        auto waiters = start<Backend>(3, [&](int) {
            event->wait();
            return 0;
        });
        for (const auto& waiter : waiters) waiter.until_asleep();
        event->set();
        event->clear();
        CHECK(join(waiters) == std::vector<int>(3, 0));
    }
    CHECK_FALSE(event->is_set());
}

TEST_CASE_TEMPLATE("a request to stop ends the wait for an event", Backend, Threads, Processes) {
    typename Backend::template Place<typename Backend::event> event;
    std::atomic<pid_t> id = 0;
    bool was_set = true;
    std::jthread waiting([&](const std::stop_token& stop) {
        id = ::gettid();
        was_set = event->wait(stop);
    });
    until([&] { return id != 0 && is_asleep(id); });
    waiting.request_stop();
    waiting.join();
    CHECK_FALSE(was_set);
    event->set();
    CHECK(event->wait(waiting.get_stop_token()));
}

TEST_CASE_TEMPLATE("parity 39: waiting on a condition takes a lock that is held", Backend, Threads,
                   Processes) {
    typename Backend::template Place<Room<Backend>> room;
    guard held(room->lock);
    held.unlock();
    CHECK_THROWS_AS(room->changed.wait(held), std::logic_error);
    CHECK_THROWS_AS((void)room->changed.wait_for(held, 1ms), std::logic_error);
    CHECK_THROWS_AS((void)room->changed.wait_for(held, 1ms, [] { return false; }), std::logic_error);
    std::unique_lock standard(room->lock);
    CHECK_FALSE(room->changed.wait_for(standard, 1ms));
    CHECK(standard.owns_lock());
}

// A number, or something that cannot be locked: such a call does not compile.
static_assert(!held_lock<int> && !held_lock<threads::mutex> && held_lock<guard<threads::mutex>>);

TEST_CASE_TEMPLATE("parity 39: a condition waits with a recursive lock, too", Backend, Threads, Processes) {
    struct Stage {
        typename Backend::recursive_mutex lock;
        typename Backend::condition changed;
        bool ready = false;
    };
    typename Backend::template Place<Stage> stage;
    typename Backend::Party waiter([&] {
        guard held(stage->lock);
        stage->changed.wait(held, [&] { return stage->ready; });
        return static_cast<int>(stage->lock.depth());
    });
    waiter.until_asleep();
    {
        const guard held(stage->lock);
        stage->ready = true;
        stage->changed.notify_all();
    }
    CHECK(waiter.join() == 1);
}

TEST_CASE_TEMPLATE("parity 40: a notification wakes as many as it says, and more than wait is harmless",
                   Backend, Threads, Processes) {
    typename Backend::template Place<Room<Backend>> room;
    auto waiters = start_waiters(*room, 6);
    room->changed.notify(0);
    room->changed.notify(3);
    until([&] { return woken(*room) == 3; });
    // Those who still sleep were not woken; those who were have said so.
    int asleep = 0;
    for (const auto& waiter : waiters) {
        if constexpr (std::is_same_v<Backend, Processes>) asleep += is_asleep(waiter.pid()) ? 1 : 0;
    }
    if constexpr (std::is_same_v<Backend, Processes>) CHECK(asleep == 3);
    CHECK(woken(*room) == 3);
    room->changed.notify_one();
    until([&] { return woken(*room) == 4; });
    room->changed.notify(100);
    CHECK(join(waiters) == std::vector<int>(6, 0));
}

TEST_CASE_TEMPLATE("parity 40: a notification without a waiter is not remembered", Backend, Threads,
                   Processes) {
    typename Backend::template Place<Room<Backend>> room;
    room->changed.notify_all();
    room->changed.notify_one();
    guard held(room->lock);
    CHECK_FALSE(room->changed.wait_for(held, 1ms));
    CHECK_FALSE(room->changed.wait_for(held, 0ms));
    CHECK_FALSE(room->changed.wait_until(held, after(Clock::now(), 1ms)));
    room->changed.notify_all();  // now somebody has waited once
    CHECK_FALSE(room->changed.wait_for(held, 1ms));
}

TEST_CASE_TEMPLATE("parity 41: waiting for a predicate gives its last value, in one limit over all wake-ups",
                   Backend, Threads, Processes) {
    typename Backend::template Place<Room<Backend>> room;
    {
        guard held(room->lock);
        CHECK(room->changed.wait_for(held, -1h, [] { return true; }));
        CHECK_FALSE(room->changed.wait_for(held, 1ms, [] { return false; }));
        int calls = 0;
        CHECK(room->changed.wait_for(held, 1ms, [&] { return ++calls == 2; }));
    }
    // Woken again and again for nothing, it ends all the same.
    typename Backend::template Place<std::atomic<bool>> over(false);
    typename Backend::Party noise([&] {
        while (!*over) {
            const guard held(room->lock);
            ++room->value;
            room->changed.notify_all();
        }
        return 0;
    });
    {
        guard held(room->lock);
        CHECK_FALSE(room->changed.wait_for(held, 20ms, [] { return false; }));
    }
    *over = true;
    CHECK(noise.join() == 0);
}

TEST_CASE_TEMPLATE("parity 41: what one puts another gets, through a condition", Backend, Threads,
                   Processes) {
    constexpr int rounds = 2'000;
    typename Backend::template Place<Room<Backend>> room;
    const auto play = [&](int number) {
        for (int round = 0; round < rounds; ++round) {
            guard held(room->lock);
            room->changed.wait(held, [&] { return room->value % 2 == number; });
            ++room->value;
            room->changed.notify_one();
        }
        return 0;
    };
    auto players = start<Backend>(2, play);
    CHECK(join(players) == std::vector<int>(2, 0));
    CHECK(room->value == 2 * rounds);
}

TEST_CASE_TEMPLATE("a request to stop ends the wait on a condition, with the lock held", Backend, Threads,
                   Processes) {
    typename Backend::template Place<Room<Backend>> room;
    std::atomic<pid_t> id = 0;
    bool held_after = false;
    bool result = true;
    std::jthread waiting([&](const std::stop_token& stop) {
        id = ::gettid();
        guard held(room->lock);
        result = room->changed.wait(held, stop, [] { return false; });
        held_after = room->lock.held_by_this_thread();
    });
    until([&] { return id != 0 && is_asleep(id); });
    waiting.request_stop();
    waiting.join();
    CHECK_FALSE(result);
    CHECK(held_after);
}

TEST_CASE("parity 42: a process killed while it waits on a condition harms nobody") {
    const processes::shared<Room<Processes>> room;
    for (int round = 0; round < 3; ++round) {
        {
            const guard held(room->lock);
            room->entered = 0;
            room->woken = 0;
        }
        auto doomed = start_waiters(*room, 3);
        for (Child& waiter : doomed) CHECK(waiter.kill() == -SIGKILL);
        room->changed.notify_all();
        room->changed.notify_one();
        {
            const guard held(room->lock);
            room->entered = 0;
        }
        // Nor do the dead take the notifications of the living.
        auto killed = start_waiters(*room, 1);
        {
            const guard held(room->lock);
            room->entered = 0;
        }
        auto living = start_waiters(*room, 1);
        CHECK(killed.front().kill() == -SIGKILL);
        room->changed.notify_one();
        CHECK(living.front().join() == 0);
    }
}

TEST_CASE("parity 42: what a process was notified of, and killed before it could do, another does") {
    struct Work {
        processes::mutex lock;
        processes::condition changed;
        bool is_there = false;
    };
    const processes::shared<Work> work;
    const auto start_worker = [&] {
        Child worker([&] {
            guard held(work->lock);
            work->changed.wait(held, [&] { return work->is_there; });
            return 0;
        });
        worker.until_asleep();
        return worker;
    };
    Child doomed = start_worker();
    Child heir = start_worker();
    {
        const guard held(work->lock);
        work->is_there = true;
        work->changed
            .notify_one();  // wakes the one that has waited longest; it cannot go on without the lock
        CHECK(doomed.kill() == -SIGKILL);
    }
    CHECK(heir.join() == 0);
}

TEST_CASE("parity 42: a process killed while it waits for an event harms nobody") {
    const processes::shared<processes::event> event;
    Child doomed([&] {
        event->wait();
        return 0;
    });
    doomed.until_asleep();
    CHECK(doomed.kill() == -SIGKILL);
    Child living([&] {
        event->wait();
        return 0;
    });
    living.until_asleep();
    event->set();
    CHECK(living.join() == 0);
}

TEST_CASE("parity 42: a process killed with the lock of a condition is noticed by who waits there") {
    const processes::shared<Room<Processes>> room;
    Child waiter([&] {
        guard held(room->lock);
        room->changed.wait(held, [&] { return room->value == 1; });
        if (!room->lock.previous_owner_died()) return 1;
        room->lock.recovered();
        return 0;
    });
    waiter.until_asleep();
    Child doomed([&] {
        room->lock.lock();
        room->value = 1;
        room->changed.notify_all();
        return ::raise(SIGKILL);
    });
    CHECK(doomed.join() == -SIGKILL);
    CHECK(waiter.join() == 0);
}
