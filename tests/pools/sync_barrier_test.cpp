// What barriers promise, between threads and between processes: items 43 to 46 of the parity list.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "tests/pools/sync_backends.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

// As a child's exit code.
int code_of(const std::expected<std::size_t, barrier_error>& passed) {
    if (passed) return static_cast<int>(*passed);
    return passed.error() == barrier_error::broken ? 50 : 51;
}
constexpr int broken = 50;
constexpr int timed_out = 51;

}  // namespace

TEST_CASE_TEMPLATE("parity 43: all parties go through a thousand passes in step", Backend, Threads,
                   Processes) {
    constexpr int parties = 4;
    constexpr int passes = 1000;
    struct Stage {
        typename Backend::barrier barrier{parties};
        std::array<std::atomic<int>, parties> at = {};
        std::array<std::atomic<int>, parties> indices = {};
        std::atomic<int> actions = 0;
    };
    typename Backend::template Place<Stage> stage;
    auto all = start<Backend>(parties, [&](int number) {
        for (int pass = 0; pass < passes; ++pass) {
            stage->at[static_cast<std::size_t>(number)] = pass;
            const auto passed = stage->barrier.wait([&] {
                // Before anybody is let go: all have come this far, and nobody further.
                if (std::ranges::all_of(stage->at, [&](const auto& at) { return at == pass; }))
                    ++stage->actions;
            });
            if (!passed) return 1;
            ++stage->indices[*passed];
        }
        return 0;
    });
    CHECK(join(all) == std::vector<int>(parties, 0));
    CHECK(stage->actions == passes);
    for (const auto& count : stage->indices) CHECK(count == passes);
    CHECK_FALSE(stage->barrier.is_broken());
    CHECK(stage->barrier.waiting() == 0);
}

TEST_CASE_TEMPLATE("parity 43: an action that throws breaks the barrier", Backend, Threads, Processes) {
    typename Backend::template Place<typename Backend::barrier> barrier(2);
    typename Backend::Party other([&] { return code_of(barrier->wait()); });
    until([&] { return barrier->waiting() == 1; });
    CHECK_THROWS_AS((void)barrier->wait([] { throw std::runtime_error("on purpose"); }), std::runtime_error);
    CHECK(other.join() == broken);
    CHECK(barrier->is_broken());
}

TEST_CASE_TEMPLATE("parity 44: aborting breaks a barrier for who waits and who comes later", Backend, Threads,
                   Processes) {
    typename Backend::template Place<typename Backend::barrier> barrier(3);
    auto waiting = start<Backend>(2, [&](int) { return code_of(barrier->wait()); });
    until([&] { return barrier->waiting() == 2; });
    barrier->abort();
    CHECK(join(waiting) == std::vector<int>(2, broken));
    CHECK(code_of(barrier->wait()) == broken);
    CHECK(barrier->is_broken());
}

TEST_CASE_TEMPLATE("parity 44: a reset mends a barrier, and is a breach for who waits", Backend, Threads,
                   Processes) {
    typename Backend::template Place<typename Backend::barrier> barrier(2);
    typename Backend::Party waiting([&] { return code_of(barrier->wait()); });
    until([&] { return barrier->waiting() == 1; });
    barrier->reset();
    CHECK(waiting.join() == broken);
    CHECK_FALSE(barrier->is_broken());
    barrier->abort();
    barrier->reset();
    auto both = start<Backend>(2, [&](int) { return code_of(barrier->wait()); });
    auto codes = join(both);
    std::ranges::sort(codes);
    CHECK(codes == std::vector{0, 1});
}

TEST_CASE_TEMPLATE("parity 44: the time-out of one party breaks the barrier for all", Backend, Threads,
                   Processes) {
    typename Backend::template Place<typename Backend::barrier> barrier(3);
    typename Backend::Party patient([&] { return code_of(barrier->wait()); });
    until([&] { return barrier->waiting() == 1; });
    typename Backend::Party hasty([&] { return code_of(barrier->wait_for(1ms)); });
    CHECK(hasty.join() == timed_out);
    CHECK(patient.join() == broken);
    CHECK(code_of(barrier->wait_for(1h)) == broken);
    barrier->reset();
    CHECK(code_of(barrier->wait_for(-1h)) == timed_out);
    barrier->reset();
    CHECK(code_of(barrier->wait_until(after(Clock::now(), 1ms), [] {})) == timed_out);
}

TEST_CASE_TEMPLATE("parity 45: a barrier of one never waits, and one of none is an error", Backend, Threads,
                   Processes) {
    typename Backend::barrier one(1);
    int actions = 0;
    for (int pass = 0; pass < 3; ++pass) CHECK(one.wait([&] { ++actions; }) == 0);
    CHECK(one.wait_for(0ms) == 0);
    CHECK(actions == 3);
    CHECK(one.parties() == 1);
    CHECK_THROWS_AS(typename Backend::barrier(0), std::invalid_argument);
    CHECK_THROWS_AS(typename Backend::barrier(-1), std::invalid_argument);
}

TEST_CASE("parity 46: a party that is killed while it waits breaks the barrier") {
    const processes::shared<processes::barrier> barrier(3);
    Child doomed([&] { return code_of(barrier->wait()); });
    Child living([&] { return code_of(barrier->wait()); });
    until([&] { return barrier->waiting() == 2; });
    CHECK(doomed.kill() == -SIGKILL);
    CHECK(living.join() == broken);
    CHECK(barrier->is_broken());
}

TEST_CASE("parity 46: a party that is killed before it comes breaks the barrier, if it is known") {
    const processes::shared<processes::barrier> barrier(2);
    Child doomed([] { return ::pause(); });
    barrier->enroll(*processes::identity::of(doomed.pid()));
    Child living([&] { return code_of(barrier->wait()); });
    until([&] { return barrier->waiting() == 1; });
    doomed.kill_and_leave();
    CHECK(living.join() == broken);
    barrier->reset();
    auto both = start<Processes>(2, [&](int) { return code_of(barrier->wait()); });
    for (Child& party : both) CHECK(party.join() < 2);
}

TEST_CASE("parity 46: a party that is killed between two passes breaks the barrier") {
    const processes::shared<processes::barrier> barrier(2);
    Child doomed([&] {
        (void)barrier->wait();
        return ::pause();
    });
    CHECK(barrier->wait());
    CHECK(doomed.kill() == -SIGKILL);
    CHECK(code_of(barrier->wait()) == broken);
}

TEST_CASE("parity 46: a party killed at any moment blocks nobody") {
    const processes::shared<processes::barrier> barrier(2);
    for (int i = 0; i < 10; ++i) {
        barrier->reset();
        Child doomed([&] {
            while (barrier->wait()) {
            }
            return 0;
        });
        barrier->enroll(*processes::identity::of(doomed.pid()));
        for (int pass = 0; pass < i; ++pass) CHECK(barrier->wait());
        doomed.send(SIGKILL);
        while (barrier->wait()) {
        }
        CHECK(barrier->is_broken());
        doomed.join();
    }
}
