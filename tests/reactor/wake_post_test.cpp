#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <utility>

#include "tests/reactor/every_mechanism.hpp"

using namespace confab;
using namespace confab::testing;
using namespace std::chrono_literals;

namespace {

// A job that does `what`, then lets whoever runs the reactor look.
struct Posted : Job {
    explicit Posted(std::function<void()> action) : Job(&now), what(std::move(action)) {}
    std::function<void()> what;

  private:
    static void now(Job& job) noexcept {
        const auto action = std::move(static_cast<Posted&>(job).what);  // which may destroy the job
        action();
        Reactor::current()->stop();
    }
};

// Posts `count` jobs one after the other from another thread, each when the one before has run.
void post_in_turn(World& world, int count) {
    std::atomic<int> ran{0};
    Posted job([] {});
    std::jthread poster([&] {
        for (int i = 0; i < count; ++i) {
            while (ran.load() < i) std::this_thread::yield();
            job.what = [&] { ++ran; };
            world.reactor().post(job);
        }
    });
    world.run_until([&] { return ran.load() == count; });
}

class Hold {
  public:
    explicit Hold(Reactor& reactor) : reactor_(reactor) { reactor_.hold(); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    ~Hold() { reactor_.release_hold(); }

  private:
    Reactor& reactor_;
};

constexpr int posts = 200;

}  // namespace

EVERY_REAL_MECHANISM("a post wakes a reactor that only waits for it") {
    const Hold hold(world.reactor());
    post_in_turn(world, posts);
}

EVERY_REAL_MECHANISM("a post wakes a reactor that waits for one receive") {
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    world.start(receive);
    post_in_turn(world, posts);
    CHECK_FALSE(receive.over);
    CHECK(world.send(there, "x") == 1);
    CHECK(world.end(receive) == 1);
}

EVERY_REAL_MECHANISM("a post wakes a reactor that waits for one receive and expects posts") {
    const Hold hold(world.reactor());
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    world.start(receive);
    post_in_turn(world, posts);
    CHECK_FALSE(receive.over);
}

EVERY_REAL_MECHANISM("a post wakes a reactor that waits for a send, an accept, a poll or a sleep") {
    {
        const auto [here, there] = world.pair();
        SendCall send(here, {std::string(std::size_t{12} << 20, 'x')});
        world.start(send);
        post_in_turn(world, posts);
        CHECK_FALSE(send.over);
    }
    {
        Call accept(Operation::Kind::accept, world.listener());
        world.start(accept);
        post_in_turn(world, posts);
        CHECK_FALSE(accept.over);
    }
    {
        const auto [here, there] = world.pair();
        Call poll(Operation::Kind::poll, here);
        poll.events = POLLIN;
        world.start(poll);
        post_in_turn(world, posts);
        CHECK_FALSE(poll.over);
    }
    Call sleep(Operation::Kind::sleep, -1);
    sleep.deadline = after(world.reactor().now(), 1h);
    world.start(sleep);
    post_in_turn(world, posts);
    CHECK_FALSE(sleep.over);
}

EVERY_REAL_MECHANISM("posts of many threads all run, those of one thread in its order") {
    constexpr int threads = 4;
    constexpr int each = 2000;
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);  // so that a blocking reactor is in its plain call
    world.start(receive);
    std::array<int, threads> last{};
    int ran = 0;
    int out_of_order = 0;
    std::vector<std::jthread> posters;
    for (int thread = 0; thread < threads; ++thread) {
        posters.emplace_back([&, thread] {
            for (int i = 1; i <= each; ++i) {
                auto job = std::make_unique<Posted>([] {});
                job->what = [&, thread, i, address = job.get()] {
                    const std::unique_ptr<Posted> owned(address);
                    int& newest = last[static_cast<std::size_t>(thread)];
                    if (newest != i - 1) ++out_of_order;
                    newest = i;
                    ++ran;
                };
                world.reactor().post(*job.release());
            }
        });
    }
    world.run_until([&] { return ran == threads * each; });
    CHECK(out_of_order == 0);
    CHECK_FALSE(receive.over);
}

EVERY_REAL_MECHANISM("messages and posts do not get in each other's way") {
    const auto [here, there] = world.pair();
    std::atomic<int> ran{0};
    Posted job([] {});
    std::jthread poster([&] {
        for (int i = 0; i < posts; ++i) {
            while (ran.load() < i) std::this_thread::yield();
            job.what = [&] { ++ran; };
            world.reactor().post(job);
        }
    });
    for (int i = 0; i < 500; ++i) {
        CHECK(world.send(there, "ping") == 4);
        CHECK(world.text_from(here, 4) == "ping");
    }
    Call receive(Operation::Kind::receive, here);
    world.start(receive);
    world.run_until([&] { return ran.load() == posts; });
    CHECK_FALSE(receive.over);
}

// The reactor is gone as soon as its thread has come back from `run`, while `stop` may not be out yet.
EVERY_REAL_MECHANISM("a reactor may be stopped from another thread and destroyed at once") {
    ReactorOptions options;
    options.waiting = world.reactor().waiting();
    for (int i = 0; i < 50; ++i) {
        std::atomic<Reactor*> running{nullptr};
        std::jthread thread([&] {
            Reactor reactor(options);
            const Hold hold(reactor);
            running.store(&reactor);
            CHECK(reactor.run() == Reactor::End::stopped);
        });
        while (running.load() == nullptr) std::this_thread::yield();
        running.load()->stop();
    }
}

EVERY_REAL_MECHANISM("stop from another thread ends a run that waits for one receive") {
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    world.start(receive);
    for (int i = 0; i < 50; ++i) {
        std::jthread stopper([&] { world.reactor().stop(); });
        CHECK(world.reactor().run() == Reactor::End::stopped);
    }
    CHECK_FALSE(receive.over);
}

EVERY_MECHANISM("a stop before the run ends it at once") {
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    world.start(receive);
    world.reactor().stop();
    CHECK(world.reactor().run() == Reactor::End::stopped);
    CHECK_FALSE(receive.over);
}

EVERY_MECHANISM("a run in which nothing can ever happen reports the deadlock") {
    CHECK(world.reactor().run() == Reactor::End::deadlock);
    const auto [here, there] = world.pair();
    CHECK(world.send(there, "x") == 1);
    CHECK(world.text_from(here) == "x");
    CHECK(world.reactor().run() == Reactor::End::deadlock);
}

EVERY_REAL_MECHANISM("letting go of the last hold, on another thread, lets the deadlock be reported") {
    for (int i = 0; i < 20; ++i) {
        world.reactor().hold();
        world.reactor().hold();
        std::jthread holder([&] {
            world.reactor().release_hold();
            world.reactor().release_hold();
        });
        CHECK(world.reactor().run() == Reactor::End::deadlock);
    }
}

EVERY_MECHANISM("jobs run in the order in which they became ready, and those they make ready after them") {
    std::string order;
    Posted third([&] { order += '3'; });
    Posted first([&] {
        order += '1';
        world.reactor().ready(third);
    });
    Posted second([&] { order += '2'; });
    world.reactor().ready(first);
    world.reactor().ready(second);
    world.run_until([&] { return order.size() == 3; });
    CHECK(order == "123");
}

EVERY_MECHANISM("a job for the end of the turn runs when all that was ready has run, once") {
    std::string order;
    Posted end([&] { order += 'e'; });
    Posted last([&] { order += 'l'; });
    Posted first([&] {
        order += 'f';
        world.reactor().at_end_of_turn(end);
        world.reactor().ready(last);
    });
    world.reactor().ready(first);
    world.run_until([&] { return order.size() == 3; });
    CHECK(order == "fle");
    world.let_pass();
    CHECK(order == "fle");
}

// Not simulated: there time stands still as long as anything is ready.
EVERY_REAL_MECHANISM("a job that makes itself ready over and over does not keep a receive from its bytes") {
    struct Restless : Job {
        Restless()
            : Job([](Job& job) noexcept {
                  if (!static_cast<Restless&>(job).enough) Reactor::current()->ready(job);
              }) {}
        bool enough = false;
    } restless;
    const auto [here, there] = world.pair();
    world.reactor().ready(restless);
    CHECK(world.send(there, "through") == 7);
    CHECK(world.text_from(here) == "through");
    Call receive(Operation::Kind::receive, here);
    world.start(receive);
    world.let_pass();
    CHECK(world.send(there, "again") == 5);
    CHECK(world.end(receive) == 5);
    restless.enough = true;
    world.let_pass();
}
