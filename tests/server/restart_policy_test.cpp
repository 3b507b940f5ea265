#include "server/restart_policy.hpp"

#include <doctest/doctest.h>

#include <chrono>

using namespace confab;
using namespace std::chrono_literals;

namespace {

using Clock = RestartPolicy::Clock;

constexpr RestartPolicy::End crashed{.began = true, .was_well = false};
constexpr RestartPolicy::End never_began{.began = false, .was_well = false};
constexpr RestartPolicy::End well{.began = true, .was_well = true};

const Clock::time_point now{1h};

Clock::duration pause_after(RestartPolicy& policy, RestartPolicy::End end) {
    policy.ended(end, now);
    return policy.due() - now;
}

}  // namespace

TEST_CASE("the first worker may be started at any time") { CHECK(RestartPolicy(30s).due() <= now); }

TEST_CASE("one that ends is followed at once, the next ones after a pause that doubles up to the bound") {
    RestartPolicy policy(1s);
    CHECK(pause_after(policy, crashed) == 0ms);
    CHECK(pause_after(policy, crashed) == 100ms);
    CHECK(pause_after(policy, crashed) == 200ms);
    CHECK(pause_after(policy, crashed) == 400ms);
    CHECK(pause_after(policy, crashed) == 800ms);
    for (int i = 0; i < 100; ++i) CHECK(pause_after(policy, crashed) == 1s);
}

TEST_CASE("with a longest pause of nothing there is none") {
    RestartPolicy policy(0s);
    for (int i = 0; i < 10; ++i) CHECK(pause_after(policy, crashed) == 0ms);
}

TEST_CASE("one that was well makes up for all that came before") {
    RestartPolicy policy(30s);
    for (int i = 0; i < 5; ++i) pause_after(policy, crashed);
    CHECK(pause_after(policy, well) == 0ms);
    CHECK(pause_after(policy, crashed) == 100ms);
}

TEST_CASE("a successor that has begun makes up for all that came before") {
    RestartPolicy policy(30s);
    for (int i = 0; i < 5; ++i) pause_after(policy, crashed);
    policy.succeeded();
    CHECK(pause_after(policy, crashed) == 0ms);
}

TEST_CASE("when five in a row never began nobody follows") {
    RestartPolicy policy(30s);
    for (unsigned i = 0; i < RestartPolicy::most_never_began; ++i) {
        CHECK_FALSE(policy.given_up());
        policy.ended(never_began, now);
    }
    CHECK(policy.given_up());
    CHECK(policy.due() == Clock::time_point::max());
}

TEST_CASE("one that began between those that did not has them counted from the start") {
    RestartPolicy policy(30s);
    for (int round = 0; round < 5; ++round) {
        for (unsigned i = 1; i < RestartPolicy::most_never_began; ++i) policy.ended(never_began, now);
        policy.ended(crashed, now);
    }
    CHECK_FALSE(policy.given_up());
}
