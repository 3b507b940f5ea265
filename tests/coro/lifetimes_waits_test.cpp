// Tasks that are stopped in the midst of each kind of wait, under every mechanism: whatever they and the
// kernel hold is given back, counted.
#include <algorithm>
#include <array>
#include <latch>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include "coro/blocking.hpp"
#include "coro/channel.hpp"
#include "coro/condition.hpp"
#include "coro/event.hpp"
#include "coro/join_all.hpp"
#include "coro/listener.hpp"
#include "coro/mutex.hpp"
#include "coro/remote_result.hpp"
#include "coro/run.hpp"
#include "coro/scope.hpp"
#include "coro/semaphore.hpp"
#include "coro/sleep.hpp"
#include "coro/stream.hpp"
#include "coro/task_group.hpp"
#include "coro/timeout.hpp"
#include "tests/reactor/every_mechanism.hpp"
#include "tests/support/counted.hpp"

using namespace confab;
using namespace confab::testing;
using namespace std::chrono_literals;

namespace {

// --- One task for each kind of wait. Nothing that it waits for ever happens. ----------------------------

task<void> in_sleep(Counted /*argument*/) {
    const Counted local;
    co_await sleep(24h);
}

task<void> in_event(event& never_set, Counted /*argument*/) {
    const Counted local;
    co_await never_set.wait();
}

task<void> in_event_with_limit(event& never_set, Counted /*argument*/) {
    const Counted local;
    static_cast<void>(co_await never_set.wait_for(24h));
}

task<void> in_mutex(mutex& held_elsewhere, Counted /*argument*/) {
    const Counted local;
    const mutex::guard held = co_await held_elsewhere.lock();
}

task<void> in_semaphore(semaphore& empty, Counted /*argument*/) {
    const Counted local;
    co_await empty.acquire();
}

task<void> in_condition(mutex& protection, condition& never_notified, Counted /*argument*/) {
    const Counted local;
    mutex::guard held = co_await protection.lock();
    co_await never_notified.wait(held, [] { return false; });
}

task<void> in_put(channel<Counted>& full, Counted argument) {
    const Counted local;
    static_cast<void>(co_await full.put(std::move(argument)));
}

task<void> in_get(channel<Counted>& empty, Counted /*argument*/) {
    const Counted local;
    static_cast<void>(co_await empty.get());
}

task<void> in_remote_result(remote_result<Counted>& never_given, Counted /*argument*/) {
    const Counted local;
    const Counted result = co_await never_given.get();
}

task<void> in_blocking_call(Counted argument) {
    const Counted local;
    const auto until_stopped = [captured = std::move(argument)](const std::stop_token& token) {
        std::latch stopped(1);
        const std::stop_callback release(token, [&stopped] { stopped.count_down(); });
        stopped.wait();
        return Counted(captured.value);
    };
    const Counted result = co_await blocking(until_stopped);
}

task<void> in_join_of_a_scope(Counted argument) {
    scope inner;
    inner.spawn(in_sleep(std::move(argument)));
    co_await inner.join();
}

task<void> in_join_of_a_child(const child<void>& awaited, Counted /*argument*/) {
    const Counted local;
    co_await awaited.get();
}

task<void> in_join_all(std::vector<any_child> awaited, Counted /*argument*/) {
    const Counted local;
    co_await join_all(std::move(awaited));
}

task<void> in_place_of_a_group(task_group& full, Counted argument) {
    const Counted local;
    co_await full.apply(in_sleep(std::move(argument)));
}

task<void> in_receive(Stream& silent, Counted /*argument*/) {
    const Counted local;
    const Received bytes = co_await silent.receive();
    CHECK_FALSE(bytes);
}

task<void> in_receive_with_limit(Stream& silent, Counted /*argument*/) {
    const Counted local;
    const Received bytes = co_await silent.receive(24h);
    CHECK_FALSE(bytes);
}

task<void> in_send(Stream& unread, Counted /*argument*/) {
    const Counted local;
    const std::string much(std::size_t{12} << 20, 'x');
    const Sent sent = co_await unread.send(much);
    CHECK_FALSE(sent);
}

task<void> in_accept(int listening, Counted /*argument*/) {
    const Counted local;
    const std::expected<int, std::error_code> accepted = co_await accept(listening);
    CHECK_FALSE(accepted);
}

task<void> in_connect(int fd, Endpoint silent, Counted /*argument*/) {
    const Counted local;
    const std::expected<int, std::error_code> connected = co_await connect(fd, silent);
    CHECK_FALSE(connected);
}

task<void> in_poll(int fd, Counted /*argument*/) {
    const Counted local;
    const std::expected<int, std::error_code> events = co_await poll_events(fd, POLLIN);
    CHECK_FALSE(events);
}

// --- All of them at once --------------------------------------------------------------------------------

/// What they wait for; outlives them.
struct Things {
    explicit Things(World& world)
        : listener(world.listener()),
          silent_socket(world.is_unix() ? -1 : world.socket()),
          silent(world.reactor(), world.let_go(take(world))),
          silent_with_limit(world.reactor(), world.let_go(take(world))),
          unread(world.reactor(), world.let_go(take(world))),
          polled(take(world)) {
        if (silent_socket >= 0) silence = world.sockets().silence();
    }

    task<void> close() {
        co_await silent.close();
        co_await silent_with_limit.close();
        co_await unread.close();
    }

    const int listener;
    const int silent_socket;
    std::optional<Endpoint> silence;
    Stream silent, silent_with_limit, unread;
    const int polled;
    event never_set, all_wait;
    mutex held_elsewhere, protection;
    semaphore no_permits{0};
    condition never_notified;
    channel<Counted> full{0}, empty{0};

  private:
    // One end of a connection whose other end says nothing and reads nothing.
    static int take(World& world) { return world.pair().here; }
};

bool each_waits(const scope& tasks) {
    for (const TaskContext* each = tasks.first_child(); each != nullptr; each = each->next_sibling())
        if (each->waiter() == nullptr && each != TaskContext::current()) return false;
    return true;
}

// Returns when each of them waits.
task<void> spawn_all(scope& tasks, Things& things, remote_result<Counted>& never_given, task_group& group,
                     child<void>& sleeper) {
    sleeper = tasks.spawn(in_sleep(Counted(1)));
    tasks.spawn(in_event(things.never_set, Counted(2)));
    tasks.spawn(in_event_with_limit(things.never_set, Counted(3)));
    tasks.spawn(in_mutex(things.held_elsewhere, Counted(4)));
    tasks.spawn(in_semaphore(things.no_permits, Counted(5)));
    tasks.spawn(in_condition(things.protection, things.never_notified, Counted(6)));
    tasks.spawn(in_put(things.full, Counted(7)));
    tasks.spawn(in_get(things.empty, Counted(8)));
    tasks.spawn(in_remote_result(never_given, Counted(9)));
    tasks.spawn(in_blocking_call(Counted(10)));
    tasks.spawn(in_join_of_a_scope(Counted(11)));
    tasks.spawn(in_join_of_a_child(sleeper, Counted(12)));
    tasks.spawn(in_join_all({sleeper}, Counted(13)));
    tasks.spawn(in_place_of_a_group(group, Counted(14)));
    tasks.spawn(in_receive(things.silent, Counted(15)));
    tasks.spawn(in_receive_with_limit(things.silent_with_limit, Counted(16)));
    tasks.spawn(in_send(things.unread, Counted(17)));
    tasks.spawn(in_accept(things.listener, Counted(18)));
    if (things.silence) tasks.spawn(in_connect(things.silent_socket, *things.silence, Counted(19)));
    tasks.spawn(in_poll(things.polled, Counted(20)));
    // They have begun when the second round runs, and wait when none of them is ready.
    co_await sleep(0s);
    while (!each_waits(tasks)) co_await sleep(0s);
}

// Throws once all wait, if it is to; else it waits, too.
task<void> wait_in_every_way(Things& things, bool throws) {
    const mutex::guard held = things.held_elsewhere.try_lock();
    remote_result<Counted> never_given;
    const remote_promise<Counted> promise = never_given.promise();
    task_group group(0);
    child<void> sleeper;
    co_await in_scope(
        [](scope& tasks, Things& them, remote_result<Counted>& remote, task_group& full, child<void>& sleeps,
           bool fails) -> task<void> {
            co_await spawn_all(tasks, them, remote, full, sleeps);
            them.all_wait.set();
            if (fails) throw std::runtime_error("out");
            co_await sleep(48h);
        },
        std::ref(things), std::ref(never_given), std::ref(group), std::ref(sleeper), throws);
}

task<void> leave_by_exception(Things& things) {
    CHECK_THROWS_AS(co_await wait_in_every_way(things, true), std::runtime_error);
}

task<void> leave_when_killed(Things& things) {
    scope tasks;
    const child<void> work = tasks.spawn(wait_in_every_way(things, false));
    co_await things.all_wait.wait();
    CHECK(Counted::alive > 30);
    work.kill();
    co_await tasks.join();
    CHECK(work.canceled());
}

task<void> leave_when_out_of_time(Things& things) {
    const std::expected<void, std::error_code> outcome =
        co_await with_timeout(20ms, wait_in_every_way(things, false));
    CHECK(outcome.error() == std::errc::timed_out);
}

task<void> leave(World& world, task<void> (*way_out)(Things&)) {
    Things things(world);
    co_await way_out(things);
    CHECK(Counted::alive == 0);
    co_await things.close();
}

void check_way_out(World& world, task<void> (*way_out)(Things&)) {
    const NothingIsLeft check;
    run(world.reactor(), leave(world, way_out));
    world.let_pass();
    CHECK(world.reactor().ledger().frames_alive == 0);
}

}  // namespace

EVERY_MECHANISM("a scope that is left by an exception ends every kind of wait, and nothing is left") {
    check_way_out(world, &leave_by_exception);
}

EVERY_MECHANISM("a scope whose task is killed ends every kind of wait, and nothing is left") {
    check_way_out(world, &leave_when_killed);
}

EVERY_MECHANISM("a scope that is out of time ends every kind of wait, and nothing is left") {
    check_way_out(world, &leave_when_out_of_time);
}

EVERY_MECHANISM("a task that is killed in the middle of a receive leaves every byte to the next") {
    const auto [here, there] = world.pair();
    const NothingIsLeft check;
    run(world.reactor(), [](int receiver, int sender) -> task<void> {
        Stream receiving(*Reactor::current(), receiver);
        Stream sending(*Reactor::current(), sender);
        {
            scope tasks;
            const child<void> killed = tasks.spawn(in_receive(receiving, Counted(1)));
            co_await sleep(0s);
            while (!each_waits(tasks)) co_await sleep(0s);
            killed.kill();
            co_await tasks.join();
            CHECK(killed.successful());  // its receive said operation_canceled, and it went on
        }
        CHECK(Counted::alive == 0);
        co_await sending.send(std::string_view("for the next"));
        std::string text;
        while (text.size() < 12) {
            const Received bytes = co_await receiving.receive();
            if (!bytes || bytes->empty()) break;
            text += as_text(*bytes);
        }
        CHECK(text == "for the next");
        co_await receiving.close();
        co_await sending.close();
    }(world.let_go(here), world.let_go(there)));
}
