// Deadlocks between threads: told when they could happen, and found when they do.
#include "pools/threads/lock_order.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "pools/guard.hpp"
#include "pools/threads/condition.hpp"
#include "pools/threads/mutex.hpp"
#include "pools/threads/recursive_mutex.hpp"
#include "tests/support/child.hpp"

using namespace confab;
using namespace confab::threads;
using namespace std::chrono_literals;

namespace {

// Watches while it lives, and keeps what was found.
class Watch {
  public:
    Watch() {
        on_lock_problem([this](const lock_problem& problem) {
            const std::lock_guard held(mutex_);
            problems_.push_back(problem);
        });
        watch_lock_order(true);
    }
    ~Watch() {
        watch_lock_order(false);
        on_lock_problem({});
    }
    std::vector<lock_problem> problems() {
        const std::lock_guard held(mutex_);
        return problems_;
    }

  private:
    std::mutex mutex_;
    std::vector<lock_problem> problems_;
};

template <class First, class Second>
void take_both(First& first, Second& second) {
    const guard one(first);
    const guard two(second);
}

bool is_deadlock(const std::system_error& error) {
    return error.code() == std::errc::resource_deadlock_would_occur;
}

}  // namespace

TEST_CASE("two locks taken in one order are no problem") {
    Watch watch;
    mutex plate("plate");
    mutex chopsticks("chopsticks");
    for (int i = 0; i < 3; ++i) take_both(plate, chopsticks);
    std::jthread([&] { take_both(plate, chopsticks); }).join();
    CHECK(watch.problems().empty());
}

TEST_CASE("an inversion is found without a deadlock, with both locks and all four lines, once") {
    Watch watch;
    mutex plate("plate");
    mutex chopsticks("chopsticks");
    const auto line = std::source_location::current().line();
    std::jthread([&] {
        const guard first(plate);
        const guard second(chopsticks);
    }).join();
    for (int i = 0; i < 2; ++i) {
        const guard first(chopsticks);
        const guard second(plate);
    }
    REQUIRE(watch.problems().size() == 1);
    const lock_problem found = watch.problems().front();
    CHECK(found.kind == lock_problem::Kind::inversion);
    REQUIRE(found.steps.size() == 2);
    CHECK(found.steps[0].thread == static_cast<std::uint32_t>(::gettid()));
    CHECK(found.steps[0].held == "chopsticks");
    CHECK(found.steps[0].held_at.line() == line + 6);
    CHECK(found.steps[0].wanted == "plate");
    CHECK(found.steps[0].wanted_at.line() == line + 7);
    CHECK(found.steps[1].thread != found.steps[0].thread);
    CHECK(found.steps[1].held == "plate");
    CHECK(found.steps[1].held_at.line() == line + 2);
    CHECK(found.steps[1].wanted == "chopsticks");
    CHECK(found.steps[1].wanted_at.line() == line + 3);
    CHECK(found.text().find("sync_lock_order_test.cpp:" + std::to_string(line + 6)) != std::string::npos);
    CHECK(found.text().find("held \"plate\"") != std::string::npos);
}

TEST_CASE("an inversion over three locks, of both kinds, is found") {
    Watch watch;
    mutex a("a");
    recursive_mutex b("b");
    mutex c;
    take_both(a, b);
    take_both(b, c);
    CHECK(watch.problems().empty());
    take_both(c, a);
    REQUIRE(watch.problems().size() == 1);
    const lock_problem found = watch.problems().front();
    REQUIRE(found.steps.size() == 3);
    CHECK(found.steps[0].held.starts_with("mutex 0x"));
    CHECK(found.steps[0].wanted == "a");
    CHECK(found.steps[1].wanted == "b");
    CHECK(found.steps[2].wanted == found.steps[0].held);
}

TEST_CASE("what is tried, or waited for with a limit, cannot deadlock, but what is taken under it can") {
    Watch watch;
    mutex a("a");
    mutex b("b");
    take_both(a, b);
    {
        const guard held(b);
        CHECK(std::unique_lock(a, std::try_to_lock).owns_lock());
        CHECK(std::unique_lock(a, 1h).owns_lock());
    }
    CHECK(watch.problems().empty());
    const std::unique_lock tried(b, std::try_to_lock);
    CHECK(tried.owns_lock());
    const guard held(a);
    CHECK(watch.problems().size() == 1);
}

TEST_CASE("coming back to a recursive mutex is no order") {
    Watch watch;
    recursive_mutex a("a");
    mutex b("b");
    const guard held(a);
    take_both(b, a);
    CHECK(watch.problems().empty());
}

TEST_CASE("a lock that is gone takes its order with it") {
    Watch watch;
    mutex a("a");
    std::optional<mutex> b;
    b.emplace("b");
    take_both(a, *b);
    b.emplace("b");  // another, at the same address
    take_both(*b, a);
    CHECK(watch.problems().empty());
}

TEST_CASE("a deadlock is found when it closes, named, and ended by an error in the thread that closed it") {
    Watch watch;
    mutex plate("plate");
    mutex chopsticks("chopsticks");
    std::atomic<int> seated = 0;
    std::atomic<int> errors = 0;
    std::atomic<int> eaten = 0;
    const auto eat = [&](mutex& first, mutex& second) {
        try {
            const guard one(first);
            ++seated;
            until([&] { return seated == 2; });
            const guard two(second);
            ++eaten;
        } catch (const std::system_error& error) {
            if (!is_deadlock(error)) return;
            ++errors;
            const std::scoped_lock both(first, second);
            ++eaten;
        }
    };
    {
        const std::jthread one([&] { eat(plate, chopsticks); });
        const std::jthread two([&] { eat(chopsticks, plate); });
    }
    CHECK(eaten == 2);
    CHECK(errors == 1);
    int deadlocks = 0;
    for (const lock_problem& problem : watch.problems()) {
        if (problem.kind != lock_problem::Kind::deadlock) continue;
        ++deadlocks;
        REQUIRE(problem.steps.size() == 2);
        CHECK(problem.steps[0].wanted == problem.steps[1].held);
        CHECK(problem.steps[1].wanted == problem.steps[0].held);
        CHECK(problem.steps[0].held != problem.steps[0].wanted);
        CHECK(problem.text().find("waits for \"plate\"") != std::string::npos);
        CHECK(problem.text().find("waits for \"chopsticks\"") != std::string::npos);
    }
    CHECK(deadlocks == 1);
}

TEST_CASE("a deadlock of many threads in a ring is found") {
    constexpr std::size_t count = 5;
    Watch watch;
    std::array<mutex, count> chopsticks;
    std::atomic<std::size_t> seated = 0;
    std::atomic<int> errors = 0;
    std::vector<std::jthread> philosophers;
    for (std::size_t i = 0; i < count; ++i) {
        philosophers.emplace_back([&, i] {
            const guard left(chopsticks[i]);
            ++seated;
            until([&] { return seated == count; });
            try {
                const guard right(chopsticks[(i + 1) % count]);
            } catch (const std::system_error& error) {
                if (is_deadlock(error)) ++errors;
            }
        });
    }
    philosophers.clear();
    CHECK(errors == 1);
    std::size_t longest = 0;
    for (const lock_problem& problem : watch.problems())
        if (problem.kind == lock_problem::Kind::deadlock) longest = problem.steps.size();
    CHECK(longest == count);
}

TEST_CASE("what the handler of a problem throws, the lock throws, and does not take it") {
    mutex a("a");
    mutex b("b");
    watch_lock_order(true);
    on_lock_problem([](const lock_problem& problem) { throw std::runtime_error(problem.text()); });
    take_both(a, b);
    CHECK_THROWS_AS(take_both(b, a), std::runtime_error);
    CHECK_FALSE(a.held_by_this_thread());
    CHECK_FALSE(b.held_by_this_thread());
    on_lock_problem({});
    watch_lock_order(false);
}

TEST_CASE("watching can begin and end while locks are held") {
    mutex a("a");
    mutex b("b");
    a.lock();
    {
        Watch watch;
        a.unlock();
        b.lock();
    }
    b.unlock();
    Watch watch;
    take_both(a, b);
    std::jthread([&] { take_both(a, b); }).join();
    CHECK(watch.problems().empty());
}

TEST_CASE("waiting on a condition gives the lock back, for the watch, too") {
    Watch watch;
    mutex a("a");
    mutex b("b");
    condition changed;
    bool ready = false;
    std::jthread waiter([&] {
        guard held(a);
        changed.wait(held, [&] { return ready; });
        const guard other(b);  // a before b, again
    });
    take_both(a, b);
    {
        const guard held(a);
        ready = true;
        changed.notify_all();
    }
    waiter.join();
    CHECK(watch.problems().empty());
}

TEST_CASE("lock order is watched from the beginning if the environment says so") {
    if (std::getenv("CONFAB_LOCK_ORDER") != nullptr) {  // this program again, see below
        CHECK(lock_order_is_watched());
        return;
    }
    CHECK_FALSE(lock_order_is_watched());
    const std::string again = "/proc/" + std::to_string(::getpid()) + "/exe";
    CHECK(std::system(
              ("CONFAB_LOCK_ORDER=1 " + again + " -tc='lock order is watched from*' >/dev/null").c_str()) ==
          0);
}
