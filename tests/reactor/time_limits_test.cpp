#include <algorithm>
#include <memory>
#include <random>

#include "tests/reactor/every_mechanism.hpp"

using namespace confab;
using namespace confab::testing;
using namespace std::chrono_literals;

namespace {

constexpr Duration soon = 5ms;

// Runs `call` with a time limit that passes, and checks that it does not pass early.
int result_within(World& world, Call& call, Duration limit) {
    call.deadline = after(world.reactor().now(), limit);
    const int result = world.result_of(call);
    CHECK(world.reactor().now() >= call.deadline);
    return result;
}

}  // namespace

EVERY_MECHANISM("a receive whose time limit passes says ETIMEDOUT, and the bytes go to the next") {
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    CHECK(result_within(world, receive, soon) == -ETIMEDOUT);
    CHECK(world.send(there, "late") == 4);
    CHECK(world.text_from(here) == "late");
}

EVERY_MECHANISM("an accept whose time limit passes says ETIMEDOUT, and the connection goes to the next") {
    const int listener = world.listener();
    Call accept(Operation::Kind::accept, listener);
    CHECK(result_within(world, accept, soon) == -ETIMEDOUT);
    CHECK(world.connect(world.socket(), world.sockets().endpoint(listener)) == 0);
    CHECK(world.accept(listener) >= 0);
}

EVERY_MECHANISM("a send whose time limit passes says ETIMEDOUT") {
    const auto [here, there] = world.pair();
    SendCall send(here, {std::string(std::size_t{12} << 20, 'x')});
    CHECK(result_within(world, send, soon) == -ETIMEDOUT);
}

EVERY_MECHANISM("a connect that is not answered within its time limit says ETIMEDOUT") {
    if (world.is_unix()) return;
    ConnectCall connect(world.socket(), world.sockets().silence());
    CHECK(result_within(world, connect, soon) == -ETIMEDOUT);
}

EVERY_MECHANISM("a poll whose time limit passes says ETIMEDOUT") {
    const auto [here, there] = world.pair();
    Call poll(Operation::Kind::poll, here);
    poll.events = POLLIN;
    CHECK(result_within(world, poll, soon) == -ETIMEDOUT);
}

EVERY_MECHANISM("a time limit that does not pass changes nothing") {
    const auto [here, there] = world.pair();
    for (int i = 0; i < 100; ++i) {
        Call receive(Operation::Kind::receive, here);
        receive.deadline = after(world.reactor().now(), 1h);
        world.start(receive);
        SendCall send(there, {"x"});
        send.deadline = receive.deadline;
        CHECK(world.result_of(send) == 1);
        CHECK(world.end(receive) == 1);
        CHECK_FALSE(receive.armed());
    }
}

EVERY_MECHANISM("of two receives, the one whose time limit passes ends and the other goes on") {
    const auto [here, there] = world.pair();
    const auto [other_here, other_there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    Call limited(Operation::Kind::receive, other_here);
    world.start(receive);
    CHECK(result_within(world, limited, soon) == -ETIMEDOUT);
    CHECK_FALSE(receive.over);
    CHECK(world.send(there, "x") == 1);
    CHECK(world.end(receive) == 1);
}

EVERY_MECHANISM("a cancelled operation with a time limit says ECANCELED") {
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    receive.deadline = after(world.reactor().now(), 1h);
    world.start(receive);
    world.reactor().cancel(receive);
    CHECK(world.end(receive) == -ECANCELED);
}

EVERY_MECHANISM("a sleep ends at its deadline, not before") {
    Call sleep(Operation::Kind::sleep, -1);
    CHECK(result_within(world, sleep, soon) == 0);
}

EVERY_MECHANISM("a sleep of no time ends, behind what is ready") {
    std::string order;
    Call first(Operation::Kind::sleep, -1);
    Call second(Operation::Kind::sleep, -1);
    first.deadline = second.deadline = world.reactor().now();
    first.when_over = [&](Call&) { order += '1'; };
    second.when_over = [&](Call&) { order += '2'; };
    world.start(first);
    world.start(second);
    world.end(second);
    CHECK(order == "12");
}

EVERY_MECHANISM("a cancelled sleep says ECANCELED, at once") {
    Call sleep(Operation::Kind::sleep, -1);
    sleep.deadline = after(world.reactor().now(), 1h);
    world.start(sleep);
    world.reactor().cancel(sleep);
    CHECK(world.end(sleep) == -ECANCELED);
    CHECK(world.reactor().now() < sleep.deadline);
}

EVERY_MECHANISM("a sleep that was withdrawn never completes") {
    Call sleep(Operation::Kind::sleep, -1);
    Call later(Operation::Kind::sleep, -1);
    sleep.deadline = after(world.reactor().now(), 2ms);
    later.deadline = after(world.reactor().now(), 10ms);
    world.start(sleep);
    world.start(later);
    world.reactor().withdraw(sleep);
    CHECK(world.end(later) == 0);
    CHECK_FALSE(sleep.over);
}

EVERY_MECHANISM("sleeps end in the order of their deadlines, whatever the order they began in") {
    constexpr int count = 20;
    std::vector<int> begun(count);
    for (int i = 0; i < count; ++i) begun[static_cast<std::size_t>(i)] = i;
    std::mt19937 random(7);
    std::shuffle(begun.begin(), begun.end(), random);
    std::vector<std::unique_ptr<Call>> sleeps;
    std::vector<int> ended;
    for (const int i : begun) {
        auto& sleep = *sleeps.emplace_back(std::make_unique<Call>(Operation::Kind::sleep, -1));
        sleep.deadline = after(world.reactor().now(), i * 3ms);
        sleep.when_over = [&ended, i](Call&) { ended.push_back(i); };
        world.start(sleep);
    }
    world.run_until([&] { return ended.size() == count; });
    CHECK(std::is_sorted(ended.begin(), ended.end()));
}

EVERY_MECHANISM("thousands of sleeps and time limits end once each, none early") {
    constexpr int count = 5000;
    const auto [here, there] = world.pair();
    std::mt19937 random(11);
    std::vector<std::unique_ptr<Call>> sleeps;
    int ended = 0;
    int early = 0;
    int cancelled = 0;
    for (int i = 0; i < count; ++i) {
        auto& sleep = *sleeps.emplace_back(std::make_unique<Call>(Operation::Kind::sleep, -1));
        sleep.deadline = after(world.reactor().now(), std::chrono::microseconds(random() % 100'000));
        sleep.when_over = [&](Call& self) {
            ++ended;
            if (self.result == -ECANCELED) ++cancelled;
            if (self.result == 0 && world.reactor().now() < self.deadline) ++early;
        };
        world.start(sleep);
    }
    for (int i = 0; i < count; i += 7) world.reactor().cancel(*sleeps[static_cast<std::size_t>(i)]);
    world.run_until([&] { return ended == count; });
    CHECK(early == 0);
    CHECK(cancelled == (count + 6) / 7);
    CHECK(world.send(there, "x") == 1);
    CHECK(world.text_from(here) == "x");
}

EVERY_MECHANISM("a receive that keeps its timer ends by its own limit, wherever the last one has left it") {
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    receive.keeps_timer = true;
    for (int i = 0; i < 20; ++i) {
        for (const Duration limit : {Duration(1h), Duration(2h)}) {
            CHECK(world.send(there, "x") == 1);
            receive.deadline = after(world.reactor().now(), limit);
            CHECK(world.result_of(receive) == 1);
            CHECK(receive.armed());
        }
        CHECK(result_within(world, receive, 1ms) == -ETIMEDOUT);  // before where the timer stood
        receive.deadline = world.reactor().now();                 // due as soon as it is there
        CHECK(world.result_of(receive) == -ETIMEDOUT);
    }
    CHECK(world.send(there, "x") == 1);
    receive.deadline = never;
    CHECK(world.result_of(receive) == 1);
    CHECK_FALSE(receive.armed());
    world.reactor().disarm(receive);
}

EVERY_MECHANISM("a timer that is kept for later is nothing to wait for") {
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    receive.keeps_timer = true;
    CHECK(world.send(there, "x") == 1);
    receive.deadline = after(world.reactor().now(), 1h);
    CHECK(world.result_of(receive) == 1);
    CHECK(world.reactor().run() == Reactor::End::deadlock);
    world.reactor().disarm(receive);
    CHECK_FALSE(receive.armed());
}
