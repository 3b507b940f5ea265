// When arguments, locals, results, exceptions and frames die: docs/lifetimes.md, counted.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "coro/blocking.hpp"
#include "coro/channel.hpp"
#include "coro/event.hpp"
#include "coro/imap.hpp"
#include "coro/join_all.hpp"
#include "coro/remote_result.hpp"
#include "coro/scope.hpp"
#include "coro/sleep.hpp"
#include "coro/task_group.hpp"
#include "coro/timeout.hpp"
#include "pools/fd.hpp"
#include "tests/support/child.hpp"
#include "tests/support/counted.hpp"
#include "tests/support/run_task.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

task<void> keep(Counted argument) {
    const Counted local(argument.value);
    co_await sleep(0s);
}

task<void> keep_until(event& door, Counted argument) {
    const Counted local(argument.value);
    co_await door.wait();
}

task<void> must_not_begin(Counted /*argument*/) {
    FAIL("it began");
    co_return;
}

task<Counted> give(int value) { co_return Counted(value); }

task<Counted> give_through(int frames, int value) {
    if (frames == 0) co_return Counted(value);
    co_return co_await give_through(frames - 1, value);
}

// What is thrown carries a counted value, too.
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
    Counted carried;
};

task<void> throw_through(int frames, Counted argument) {
    const Counted local(frames);
    if (frames == 0) {
        co_await sleep(1ms);
        throw Failure("from the depth");
    }
    co_await throw_through(frames - 1, std::move(argument));
}

// The sum of the numbers up to `depth`, by as many frames, all alive at once.
task<std::uint64_t> descend(std::uint64_t depth, event* at_the_bottom) {
    if (depth == 0) {
        if (at_the_bottom != nullptr) co_await at_the_bottom->wait();
        co_return 0;
    }
    const std::uint64_t rest = co_await descend(depth - 1, at_the_bottom);
    co_return rest + depth;
}

}  // namespace

TEST_CASE("a task that is never awaited dies with its arguments, and its body never begins") {
    const NothingIsLeft check;
    {
        const task<void> dropped = must_not_begin(Counted(1));
        CHECK(Counted::alive == 1);
    }
    CHECK(Counted::alive == 0);
    task<void> replaced = must_not_begin(Counted(2));
    replaced = task<void>();
    const task<void> moved = std::move(replaced);
    static_cast<void>(must_not_begin(Counted(3)));
    CHECK(Counted::alive == 0);
    CHECK(Counted::copied == 0);
}

TEST_CASE("the arguments of an awaited task die at the end of the full expression, its locals before") {
    const NothingIsLeft check;
    run_task([]() -> task<void> {
        co_await keep(Counted(1));
        CHECK(Counted::alive == 0);
        task<void> later = keep(Counted(2));
        CHECK(Counted::alive == 1);
        co_await std::move(later);
        CHECK(Counted::alive == 1);  // the argument: `later` still owns the frame
        later = task<void>();
        CHECK(Counted::alive == 0);
        CHECK(Counted::copied == 0);
    }());
}

TEST_CASE("a spawned task's locals die when it ends, its arguments when nobody holds a child of it") {
    const NothingIsLeft check;
    run_task([]() -> task<void> {
        event door;
        scope tasks;
        child<void> held = tasks.spawn(keep_until(door, Counted(1)));
        tasks.spawn(keep_until(door, Counted(2)));
        co_await sleep(0s);
        CHECK(Counted::alive == 4);
        door.set();
        co_await tasks.join();
        CHECK(Counted::alive == 1);
        const any_child another = held;
        held = child<void>();
        CHECK(Counted::alive == 1);
    }());
}

TEST_CASE("a task that is killed before its start never begins, and dies with its arguments") {
    const NothingIsLeft check;
    run_task([]() -> task<void> {
        scope tasks;
        {
            const child<void> killed = tasks.spawn(must_not_begin(Counted(1)));
            killed.kill();
            co_await killed.join();
            CHECK(killed.canceled());
        }
        CHECK(Counted::alive == 0);
        tasks.request_stop();
        tasks.spawn(must_not_begin(Counted(2)));
        co_await tasks.join();
        CHECK(Counted::alive == 0);
    }());
}

TEST_CASE("an exception through many frames takes all of them along, and then goes itself") {
    const NothingIsLeft check;
    run_task([]() -> task<void> {
        bool caught = false;
        try {
            co_await throw_through(100, Counted(1));
        } catch (const Failure& failure) {
            caught = true;
            CHECK(failure.what() == std::string("from the depth"));
            CHECK(Counted::alive == 1);  // what it carries
        }
        CHECK(caught);
        CHECK(Counted::alive == 0);
        scope tasks(OnFailure::ignore);
        child<void> failed = tasks.spawn(throw_through(100, Counted(2)));
        co_await tasks.join();
        CHECK(failed.failed());
        CHECK(Counted::alive == 2);  // the outermost argument, and what the exception carries
        failed = child<void>();
        CHECK(Counted::alive == 0);
    }());
}

TEST_CASE("a failure dies with the scope's join that throws it") {
    const NothingIsLeft check;
    run_task([]() -> task<void> {
        scope tasks;
        tasks.spawn(throw_through(3, Counted(1)));
        tasks.spawn(throw_through(3, Counted(2)));
        CHECK_THROWS_AS(co_await tasks.join(), Failure);
        CHECK(Counted::alive == 0);
    }());
}

TEST_CASE("a result is moved from frame to frame, never copied") {
    const NothingIsLeft check;
    run_task([]() -> task<void> {
        const Counted one = co_await give(7);
        CHECK(one.value == 7);
        CHECK(Counted::moved == 2);  // into the frame, and out of it
        const Counted far = co_await give_through(10, 8);
        CHECK(far.value == 8);
        CHECK(Counted::moved == 2 + 11 * 2);
    }());
    CHECK(Counted::copied == 0);
}

TEST_CASE("whatever hands a value on moves it") {
    const NothingIsLeft check;
    const Counted result = run_task([]() -> task<Counted> {
        scope tasks;
        const child<Counted> work = tasks.spawn(give(1));
        const Counted gotten = co_await work.get();
        CHECK(gotten.value == 1);
        const Counted inner = co_await in_scope([](scope&) -> task<Counted> { return give(2); });
        CHECK(inner.value == 2);
        const std::expected<Counted, std::error_code> timed = co_await with_timeout(1h, give(3));
        CHECK(timed->value == 3);
        channel<Counted> values(1);
        co_await values.put(Counted(4));
        const child<void> putter = tasks.spawn([](channel<Counted>& to) -> task<void> {
            co_await to.put(Counted(5));  // waits, as it is full
        }(values));
        co_await sleep(0s);
        const std::expected<Counted, channel_error> fourth = co_await values.get();
        const std::expected<Counted, channel_error> fifth = co_await values.get();
        CHECK(fourth->value == 4);
        CHECK(fifth->value == 5);
        task_group group(2);
        const Counted applied = co_await group.apply(give(6));
        CHECK(applied.value == 6);
        co_await group.join();
        co_await tasks.join();
        co_return Counted(7);
    }());
    CHECK(result.value == 7);
    const Counted from_a_thread = run_task_in_real_time([]() -> task<Counted> {
        const Counted called = co_await blocking([] { return Counted(8); });
        CHECK(called.value == 8);
        remote_result<Counted> remote;
        const std::jthread other([promise = remote.promise()]() mutable { promise.set_value(9); });
        co_return co_await remote.get();
    }());
    CHECK(from_a_thread.value == 9);
    CHECK(Counted::copied == 0);
    CHECK(Counted::alive == 2);
}

TEST_CASE("what is left in a channel, or was to be put, dies with it") {
    const NothingIsLeft check;
    run_task([]() -> task<void> {
        scope tasks;
        channel<Counted> values(2);
        for (int i = 0; i < 4; ++i) {
            tasks.spawn([](channel<Counted>& to, int value) -> task<void> {
                co_await to.put(Counted(value));
            }(values, i));
        }
        co_await sleep(0s);
        CHECK(values.size() == 2);
        CHECK(Counted::alive > 2);
        tasks.request_stop();
        co_await tasks.join();
        CHECK(Counted::alive == 2);
    }());
}

TEST_CASE("a remote result that nobody takes, or that comes too late, dies") {
    const NothingIsLeft check;
    run_task_in_real_time([]() -> task<void> {
        {
            remote_result<Counted> not_taken;
            std::jthread([promise = not_taken.promise()]() mutable { promise.set_value(1); }).join();
            CHECK(co_await not_taken.wait_for(no_limit));
        }
        CHECK(Counted::alive == 0);
        std::jthread late;
        {
            remote_result<Counted> abandoned;
            late = std::jthread([promise = abandoned.promise()]() mutable { promise.set_value(2); });
        }
        late.join();
        CHECK(Counted::alive == 0);
    }());
}

TEST_CASE("a million awaits, one within the other, take no stack: neither down nor up") {
    static constexpr std::uint64_t deep = 1'000'000;
    const NothingIsLeft check;
    CHECK(run_task(descend(deep, nullptr)) == deep * (deep + 1) / 2);
    // The same with a wait at the bottom: it goes up from the reactor's loop.
    run_task([]() -> task<void> {
        event door;
        scope tasks;
        const child<std::uint64_t> work = tasks.spawn(descend(deep, &door));
        co_await sleep(0s);
        CHECK(thread_counts.frames_alive > deep);
        door.set();
        CHECK(co_await work.get() == deep * (deep + 1) / 2);
        co_await tasks.join();
    }());
}

TEST_CASE("a million awaits, one after the other, take no stack") {
    const NothingIsLeft check;
    run_task([]() -> task<void> {
        std::uint64_t sum = 0;
        for (int i = 0; i < 1'000'000; ++i) {
            const Counted one = co_await give(1);
            sum += static_cast<std::uint64_t>(one.value);
        }
        CHECK(sum == 1'000'000);
    }());
}

TEST_CASE("a request to stop at the bottom of very many awaits takes no stack, either") {
    const NothingIsLeft check;
    run_task([]() -> task<void> {
        event never_set;
        scope tasks;
        const child<std::uint64_t> work = tasks.spawn(descend(100'000, &never_set));
        co_await sleep(0s);
        work.kill();
        co_await tasks.join();
        CHECK(work.canceled());
    }());
}

TEST_CASE("ten thousand tasks come and go, whether they end, fail or are stopped") {
    constexpr int many = 10'000;
    for (const bool stopped : {false, true}) {
        const NothingIsLeft check;
        run_task([](bool stop) -> task<void> {
            event door;
            scope tasks(OnFailure::ignore);
            for (int i = 0; i < many; ++i) {
                switch (i % 4) {
                    case 0:
                        tasks.spawn(keep_until(door, Counted(i)));
                        break;
                    case 1:
                        tasks.spawn(throw_through(2, Counted(i)));
                        break;
                    case 2:
                        tasks.spawn(keep(Counted(i)));
                        break;
                    default:
                        tasks.spawn(in_scope(
                            [](scope& inner, Counted value) -> task<void> {
                                inner.spawn(keep(std::move(value)));
                                co_await sleep(1s);
                            },
                            Counted(i)));
                }
            }
            co_await sleep(0s);
            CHECK(tasks.size() >= many / 2);
            stop ? static_cast<void>(tasks.request_stop()) : door.set();
            co_await tasks.join();
            CHECK(Counted::alive == 0);
        }(stopped));
    }
}

TEST_CASE("an imap that is dropped, and what nobody gets from it, die") {
    const NothingIsLeft check;
    run_task([]() -> task<void> {
        task_group group(3);
        {
            imap halves(
                group,
                [](int value) -> task<Counted> {
                    co_await sleep(1ms);
                    co_return Counted(value / 2);
                },
                std::vector{2, 4, 6, 8, 10}, 3);
            const std::optional<Counted> first = co_await halves.next();
            CHECK(first->value == 1);
        }
        co_await group.join();
    }());
    CHECK(Counted::copied == 0);
}

TEST_CASE("a scope that dies with tasks in it ends the program and says why") {
    std::array<int, 2> words{};
    REQUIRE(::pipe2(words.data(), O_CLOEXEC) == 0);
    const Fd said(words[0]);
    Fd says(words[1]);
    Child careless([&] {
        std::signal(SIGABRT, SIG_DFL);  // not for the test's own handlers
        ::dup2(says.get(), STDERR_FILENO);
        run_task([]() -> task<void> {
            event door;
            scope tasks;
            tasks.spawn(keep_until(door, Counted(1)));
            co_await sleep(0s);
        }());
        return 0;
    });
    CHECK(careless.join() == -SIGABRT);
    says = Fd();
    std::array<char, 200> text{};
    const ssize_t size = ::read(said.get(), text.data(), text.size());
    CHECK(std::string(text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))) ==
          "confab: a scope was destroyed with 1 tasks in it; join it first\n");
}
