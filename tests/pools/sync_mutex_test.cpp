// What mutexes promise, between threads and between processes: items 25 to 32 of the parity list.
#include <doctest/doctest.h>

#include <mutex>
#include <stdexcept>
#include <system_error>

#include "pools/guard.hpp"
#include "tests/pools/sync_backends.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

template <class Mutex>
struct Stage {
    Mutex lock;
    std::atomic<int> count = 0;
    int plain = 0;
};

// In another party: whether it can have the lock.
template <class Backend, class Mutex>
bool another_can_lock(Mutex& lock) {
    typename Backend::Party other([&] {
        if (!lock.try_lock()) return 0;
        lock.unlock();
        return 1;
    });
    return other.join() == 1;
}

std::errc error_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const std::system_error& error) {
        return static_cast<std::errc>(error.code().value());
    }
    return {};
}

}  // namespace

TEST_CASE_TEMPLATE("parity 25: trying a held mutex fails, and all who wait have it in the end", Backend,
                   Threads, Processes) {
    typename Backend::template Place<Stage<typename Backend::mutex>> stage;
    stage->lock.lock();
    CHECK_FALSE(another_can_lock<Backend>(stage->lock));
    CHECK_FALSE(stage->lock.try_lock());
    auto waiting = start<Backend>(5, [&](int) {
        const guard held(stage->lock);
        ++stage->count;
        return 0;
    });
    for (const auto& party : waiting) party.until_asleep();
    CHECK(stage->count == 0);
    stage->lock.unlock();
    CHECK(join(waiting) == std::vector<int>(5, 0));
    CHECK(stage->count == 5);
}

TEST_CASE_TEMPLATE("parity 25: no two have a mutex at once", Backend, Threads, Processes) {
    constexpr int rounds = 20'000;
    typename Backend::template Place<Stage<typename Backend::mutex>> stage;
    auto adders = start<Backend>(3, [&](int) {
        for (int round = 0; round < rounds; ++round) {
            const guard held(stage->lock);
            ++stage->plain;
        }
        return 0;
    });
    CHECK(join(adders) == std::vector<int>(3, 0));
    CHECK(stage->plain == 3 * rounds);
}

TEST_CASE_TEMPLATE("parity 26: a guard gives back on every way out", Backend, Threads, Processes) {
    typename Backend::template Place<Stage<typename Backend::mutex>> stage;
    try {
        const guard held(stage->lock);
        CHECK_FALSE(another_can_lock<Backend>(stage->lock));
        throw std::runtime_error("on purpose");
    } catch (const std::runtime_error&) {
    }
    CHECK(another_can_lock<Backend>(stage->lock));
    {
        guard held(stage->lock);
        held.unlock();
        CHECK_FALSE(held.owns_lock());
        CHECK(another_can_lock<Backend>(stage->lock));
        held.lock();
        CHECK_FALSE(another_can_lock<Backend>(stage->lock));
    }
    CHECK(another_can_lock<Backend>(stage->lock));
}

TEST_CASE_TEMPLATE("parity 26: a mutex works with the standard's locks", Backend, Threads, Processes) {
    typename Backend::template Place<Stage<typename Backend::mutex>> one;
    typename Backend::template Place<Stage<typename Backend::mutex>> two;
    {
        const std::scoped_lock both(one->lock, two->lock);
        CHECK_FALSE(another_can_lock<Backend>(two->lock));
    }
    std::unique_lock held(one->lock, std::defer_lock);
    CHECK(held.try_lock_for(1ms));
    CHECK_FALSE(another_can_lock<Backend>(one->lock));
}

TEST_CASE_TEMPLATE("parity 27: only its owner unlocks a mutex", Backend, Threads, Processes) {
    typename Backend::template Place<Stage<typename Backend::mutex>> stage;
    typename Backend::template Place<Stage<typename Backend::recursive_mutex>> again;
    const auto another_unlocks = [](auto& lock) {
        typename Backend::Party other([&] {
            try {
                lock.unlock();
            } catch (const std::logic_error&) {
                return 7;
            }
            return 0;
        });
        return other.join();
    };
    stage->lock.lock();
    again->lock.lock();
    CHECK(another_unlocks(stage->lock) == 7);
    CHECK(another_unlocks(again->lock) == 7);
    CHECK_FALSE(another_can_lock<Backend>(stage->lock));
    CHECK_FALSE(another_can_lock<Backend>(again->lock));
    stage->lock.unlock();
    again->lock.unlock();
}

TEST_CASE_TEMPLATE("parity 27: what is to go from hand to hand is a semaphore", Backend, Threads, Processes) {
    typename Backend::template Place<typename Backend::semaphore> turn(0);
    typename Backend::Party other([&] {
        turn->release();
        return 0;
    });
    turn->acquire();
    CHECK(other.join() == 0);
}

TEST_CASE_TEMPLATE("parity 28: unlocking what nobody holds is one error everywhere", Backend, Threads,
                   Processes) {
    typename Backend::template Place<Stage<typename Backend::mutex>> stage;
    typename Backend::template Place<Stage<typename Backend::recursive_mutex>> again;
    CHECK_THROWS_AS(stage->lock.unlock(), std::logic_error);
    CHECK_THROWS_AS(again->lock.unlock(), std::logic_error);
    again->lock.lock();
    again->lock.unlock();
    CHECK_THROWS_AS(again->lock.unlock(), std::logic_error);
    CHECK(another_can_lock<Backend>(stage->lock));
    CHECK(another_can_lock<Backend>(again->lock));
}

TEST_CASE_TEMPLATE("parity 29: a recursive mutex is free after as many unlocks as locks", Backend, Threads,
                   Processes) {
    typename Backend::template Place<Stage<typename Backend::recursive_mutex>> stage;
    auto& lock = stage->lock;
    CHECK(lock.depth() == 0);
    lock.lock();
    CHECK(lock.try_lock());
    CHECK(lock.try_lock_for(1ms));
    CHECK(lock.depth() == 3);
    CHECK(lock.held_by_this_thread());
    typename Backend::Party other([&] { return lock.held_by_this_thread() || lock.depth() != 0 ? 1 : 0; });
    CHECK(other.join() == 0);
    for (int left = 2; left >= 0; --left) {
        CHECK_FALSE(another_can_lock<Backend>(lock));
        lock.unlock();
        CHECK(lock.depth() == static_cast<std::uint32_t>(left));
    }
    CHECK_FALSE(lock.held_by_this_thread());
    CHECK(another_can_lock<Backend>(lock));
}

TEST_CASE_TEMPLATE("locking a mutex twice is an error, not a wait for ever", Backend, Threads, Processes) {
    typename Backend::template Place<Stage<typename Backend::mutex>> stage;
    const guard held(stage->lock);
    CHECK(stage->lock.held_by_this_thread());
    CHECK(error_of([&] { stage->lock.lock(); }) == std::errc::resource_deadlock_would_occur);
    CHECK(error_of([&] { (void)stage->lock.try_lock_for(1h); }) == std::errc::resource_deadlock_would_occur);
    CHECK_FALSE(stage->lock.try_lock_for(0ms));
}

TEST_CASE_TEMPLATE("parity 30: a mutex works on after somebody's time ran out", Backend, Threads, Processes) {
    typename Backend::template Place<Stage<typename Backend::mutex>> stage;
    stage->lock.lock();
    typename Backend::Party late([&] {
        int tries = 0;
        tries += stage->lock.try_lock_for(1ms) ? 0 : 1;
        tries += stage->lock.try_lock_for(-1h) ? 0 : 1;
        tries += stage->lock.try_lock_until(after(Clock::now(), 1ms)) ? 0 : 1;
        return tries;
    });
    CHECK(late.join() == 3);
    typename Backend::Party in_time([&] {
        if (!stage->lock.try_lock_for(Duration::max())) return 1;
        stage->lock.unlock();
        return 0;
    });
    in_time.until_asleep();
    stage->lock.unlock();
    CHECK(in_time.join() == 0);
    CHECK(another_can_lock<Backend>(stage->lock));
}

TEST_CASE_TEMPLATE("parity 31: the death of a lock's owner is told to the next one", Mutex, processes::mutex,
                   processes::recursive_mutex) {
    const processes::shared<Stage<Mutex>> stage;
    Child owner([&] {
        stage->lock.lock();
        return ::pause();
    });
    until([&] {  // the owner has it
        if (!stage->lock.try_lock()) return true;
        stage->lock.unlock();
        return false;
    });
    Child waiting([&] {
        const guard held(stage->lock);
        if (!stage->lock.previous_owner_died()) return 1;
        stage->lock.recovered();
        return stage->lock.previous_owner_died() ? 2 : 0;
    });
    waiting.until_asleep();
    CHECK(owner.kill() == -SIGKILL);
    CHECK(waiting.join() == 0);
    const guard held(stage->lock);
    CHECK_FALSE(stage->lock.previous_owner_died());
}

TEST_CASE("parity 31: each way of taking a lock tells of the dead owner, and of one that died repairing") {
    const processes::shared<Stage<processes::mutex>> stage;
    for (int way = 0; way < 4; ++way) {
        Child owner([&] {
            stage->lock.lock();
            return ::raise(SIGKILL);
        });
        CHECK(owner.join() == -SIGKILL);
        switch (way) {
            case 0:
                stage->lock.lock();
                break;
            case 1:
                REQUIRE(stage->lock.try_lock());
                break;
            case 2:
                REQUIRE(stage->lock.try_lock_for(1h));
                break;
            default:
                REQUIRE(stage->lock.try_lock_until(never));
                break;
        }
        CHECK(stage->lock.previous_owner_died());
        stage->lock.recovered();
        CHECK_THROWS_AS(stage->lock.recovered(), std::logic_error);
        stage->lock.unlock();
    }
}

TEST_CASE("parity 31: a lock that was not recovered is unusable, for everybody and loudly") {
    const processes::shared<Stage<processes::mutex>> stage;
    Child owner([&] {
        stage->lock.lock();
        return ::raise(SIGKILL);
    });
    CHECK(owner.join() == -SIGKILL);
    {
        const guard careless(stage->lock);
    }
    CHECK(error_of([&] { stage->lock.lock(); }) == std::errc::state_not_recoverable);
    CHECK(error_of([&] { (void)stage->lock.try_lock(); }) == std::errc::state_not_recoverable);
    CHECK(error_of([&] { (void)stage->lock.try_lock_for(1h); }) == std::errc::state_not_recoverable);
    Child another(
        [&] { return error_of([&] { stage->lock.lock(); }) == std::errc::state_not_recoverable ? 0 : 1; });
    CHECK(another.join() == 0);
}

TEST_CASE("parity 31: a recursive lock of a dead owner begins anew") {
    const processes::shared<Stage<processes::recursive_mutex>> stage;
    Child owner([&] {
        stage->lock.lock();
        stage->lock.lock();
        return ::raise(SIGKILL);
    });
    CHECK(owner.join() == -SIGKILL);
    CHECK_FALSE(stage->lock.held_by_this_thread());
    stage->lock.lock();
    CHECK(stage->lock.previous_owner_died());
    CHECK(stage->lock.depth() == 1);
    stage->lock.recovered();
    stage->lock.unlock();
    CHECK(another_can_lock<Processes>(stage->lock));
}

TEST_CASE("parity 32: a fork leaves threads' locks as they are, and those of processes are not the child's") {
    threads::mutex inherited;
    const processes::shared<Stage<processes::mutex>> stage;
    const guard held(inherited);
    const guard shared_held(stage->lock);
    Child child([&] {
        if (inherited.try_lock() || inherited.held_by_this_thread()) return 1;
        return stage->lock.try_lock() || stage->lock.held_by_this_thread() ? 2 : 0;
    });
    CHECK(child.join() == 0);
}

TEST_CASE("a mutex between threads has a name if it wants one, and is small") {
    static constinit threads::mutex named("tickets");
    CHECK(std::string(named.name()) == "tickets");
    CHECK(threads::mutex().name() == nullptr);
    CHECK(std::string(threads::recursive_mutex("again").name()) == "again");
    CHECK(sizeof(threads::mutex) == 24);
}
