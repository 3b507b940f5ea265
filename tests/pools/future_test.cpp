// Futures and promises, without a pool: parity 95 to 99 and 101.
#include "pools/future.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace confab;
using namespace std::chrono_literals;

namespace {

std::atomic<int> unheard = 0;
void count_unheard(const std::exception_ptr&) noexcept { ++unheard; }

// Counts what callbacks throw, while it lives.
class CountUnheard {
  public:
    CountUnheard() { unheard = 0; }
    CountUnheard(const CountUnheard&) = delete;
    CountUnheard& operator=(const CountUnheard&) = delete;
    ~CountUnheard() { on_unheard_exception(before_); }

  private:
    unheard_exception_handler before_ = on_unheard_exception(count_unheard);
};

std::exception_ptr failure() { return std::make_exception_ptr(std::runtime_error("it failed")); }

template <class T>
std::vector<future<T>> futures_of(const std::vector<promise<T>>& promises) {
    std::vector<future<T>> futures;
    for (const auto& each : promises) futures.push_back(each.get_future());
    return futures;
}

}  // namespace

TEST_CASE("parity 95: a future gives what its promise brings: a value, nothing, or an exception") {
    promise<std::string> words;
    const future<std::string> future_words = words.get_future();
    CHECK(future_words.status() == future_status::pending);
    CHECK(words.set_value(3, 'x'));
    CHECK(future_words.status() == future_status::done);
    CHECK(future_words.result() == "xxx");
    CHECK(future_words.exception() == nullptr);
    CHECK(future_words.successful());

    promise<void> nothing;
    CHECK(nothing.set_value());
    nothing.get_future().result();
    const future<void> future_nothing = nothing.get_future();
    CHECK(future_nothing.result_for(0s));

    promise<int> bad;
    CHECK(bad.set_exception(failure()));
    const future<int> future_bad = bad.get_future();
    CHECK_THROWS_WITH_AS(static_cast<void>(future_bad.result()), "it failed", std::runtime_error);
    CHECK_THROWS_WITH_AS(static_cast<void>(future_bad.result_for(0s)), "it failed", std::runtime_error);
    CHECK(future_bad.exception() != nullptr);
    CHECK_FALSE(future_bad.successful());
}

TEST_CASE("parity 95: a look at a pending result comes back at once, and a wait with a limit in time") {
    promise<int> number;
    const future<int> it = number.get_future();
    for (const Duration limit : {Duration(-1s), Duration(0s), Duration(1ms)}) {
        CHECK_FALSE(it.wait_for(limit));
        CHECK(it.result_for(limit) == nullptr);
    }
    CHECK_FALSE(it.wait_until(Clock::now() - 1s));
    CHECK_THROWS_AS(static_cast<void>(it.successful()), std::logic_error);
    CHECK(number.set_value(7));
    CHECK(*it.result_for(0s) == 7);
    CHECK(*it.result_for(Duration::max()) == 7);
    CHECK(it.wait_for(-1s));
}

TEST_CASE("parity 95: every thread that waits for a result gets it") {
    promise<int> number;
    std::atomic<int> sum = 0;
    {
        std::vector<std::jthread> waiters;
        for (int i = 0; i < 4; ++i)
            waiters.emplace_back([&, it = number.get_future()] { sum += it.result(); });
        CHECK(number.begin());
        CHECK(number.set_value(5));
    }
    CHECK(sum == 20);
}

TEST_CASE("parity 96: what has not begun can be canceled, and those who wait are told") {
    promise<int> number;
    const future<int> it = number.get_future();
    std::latch started(2);
    {
        std::vector<std::jthread> waiters;
        for (int i = 0; i < 2; ++i) {
            waiters.emplace_back([&, it] {
                started.count_down();
                CHECK_THROWS_AS(static_cast<void>(it.result()), future_canceled);
            });
        }
        started.wait();
        CHECK(it.cancel() == cancellation::canceled);
    }
    CHECK(it.cancel() == cancellation::canceled);
    CHECK(it.done());
    CHECK(it.status() == future_status::canceled);
    CHECK_FALSE(it.successful());
    CHECK_THROWS_AS(static_cast<void>(it.exception()), future_canceled);
    CHECK_FALSE(number.begin());
    CHECK_FALSE(number.set_value(1));
}

TEST_CASE("parity 96: what runs is asked to stop, and what is over is as it was") {
    promise<int> number;
    const future<int> it = number.get_future();
    const std::stop_token stop = number.get_stop_token();
    CHECK(number.begin());
    CHECK(it.status() == future_status::running);
    CHECK_FALSE(stop.stop_requested());
    CHECK(it.cancel() == cancellation::requested);
    CHECK(it.cancel() == cancellation::requested);
    CHECK(stop.stop_requested());
    CHECK(number.set_value(1));
    CHECK(it.cancel() == cancellation::too_late);
    CHECK(it.result() == 1);
}

TEST_CASE("parity 97: the first result stays, and a second is an error") {
    promise<int> number;
    CHECK(number.set_value(1));
    CHECK_THROWS_AS(number.set_value(2), std::future_error);
    CHECK_THROWS_AS(number.set_exception(failure()), std::future_error);
    CHECK(number.get_future().result() == 1);
}

TEST_CASE("a promise that dies without a result breaks, and says so") {
    future<int> it;
    CHECK_FALSE(it.valid());
    {
        const promise<int> number;
        it = number.get_future();
    }
    CHECK_THROWS_AS(static_cast<void>(it.result()), std::future_error);
}

TEST_CASE("a value that cannot be made is the exception that its making threw") {
    struct Picky {
        explicit Picky(int) { throw std::runtime_error("not today"); }
    };
    promise<Picky> picky;
    CHECK(picky.set_value(1));
    CHECK_THROWS_WITH_AS(static_cast<void>(picky.get_future().result()), "not today", std::runtime_error);
}

TEST_CASE("parity 98: callbacks are called in order by the thread that ends it, later ones here and now") {
    promise<int> number;
    const future<int> it = number.get_future();
    std::vector<std::pair<int, std::thread::id>> calls;
    const auto note = [&](int which) {
        return [&calls, which](const future<int>& over) {
            CHECK(over.result() == 6);
            calls.emplace_back(which, std::this_thread::get_id());
        };
    };
    for (int i = 0; i < 3; ++i) it.on_done(note(i));
    std::thread::id other;
    std::jthread([&] {
        other = std::this_thread::get_id();
        CHECK(number.set_value(6));
    }).join();
    it.on_done(note(3));
    const auto here = std::this_thread::get_id();
    CHECK(calls ==
          std::vector<std::pair<int, std::thread::id>>{{0, other}, {1, other}, {2, other}, {3, here}});
}

TEST_CASE("parity 98: a cancel calls the callbacks, too") {
    const promise<int> number;
    bool is_called = false;
    number.get_future().on_done(
        [&](const future<int>& it) { is_called = it.status() == future_status::canceled; });
    CHECK(number.get_future().cancel() == cancellation::canceled);
    CHECK(is_called);
}

TEST_CASE("parity 99: a callback that throws is reported, the others are called, the result stays") {
    const CountUnheard count;
    promise<int> number;
    const future<int> it = number.get_future();
    int called = 0;
    it.on_done([&](const auto&) { ++called; });
    it.on_done([&](const auto&) { throw std::runtime_error("in a callback"); });
    it.on_done([&](const auto&) { ++called; });
    CHECK(number.set_value(1));
    CHECK(called == 2);
    CHECK(unheard == 1);
    it.on_done([&](const auto&) { throw 1; });
    CHECK(unheard == 2);
    CHECK(it.result() == 1);
}

TEST_CASE("callbacks that are added while it ends are called once each") {
    for (int round = 0; round < 200; ++round) {
        promise<int> number;
        std::atomic<int> called = 0;
        {
            std::vector<std::jthread> adders;
            for (int i = 0; i < 2; ++i) {
                adders.emplace_back([&, it = number.get_future()] {
                    for (int n = 0; n < 20; ++n) it.on_done([&](const auto&) { ++called; });
                });
            }
            CHECK(number.set_value(round));
        }
        CHECK(called == 40);
    }
}

TEST_CASE("parity 101: a wait for the first, for the first that fails, and for all") {
    std::vector<promise<int>> promises(4);
    const auto all = futures_of(promises);

    CHECK(wait_first(all, 0s).done.empty());
    CHECK(wait_first(all, 1ms).not_done == all);
    std::jthread first([&] { CHECK(promises[2].set_value(1)); });
    auto some = wait_first(all);
    CHECK(some.done == std::vector{all[2]});
    CHECK(some.not_done == std::vector{all[0], all[1], all[3]});

    CHECK(wait_first_exception(all, 1ms).done.size() == 1);
    std::jthread second([&] { CHECK(promises[0].set_exception(failure())); });
    CHECK(wait_first_exception(all).done == std::vector{all[0], all[2]});

    CHECK(wait_all(all, -1s).not_done.size() == 2);
    std::jthread third([&] {
        CHECK(promises[1].set_value(1));
        CHECK(all[3].cancel() == cancellation::canceled);
    });
    some = wait_all(all);
    CHECK(some.done == all);
    CHECK(some.not_done.empty());
}

TEST_CASE("parity 101: the same result twice counts once, and of none nothing is waited for") {
    std::vector<promise<int>> promises(2);
    CHECK(promises[0].set_value(1));
    const auto it = promises[0].get_future();
    const auto other = promises[1].get_future();
    const waited<int> some = wait_first(std::vector{it, other, it, other});
    CHECK(some.done == std::vector{it});
    CHECK(some.not_done == std::vector{other});
    CHECK(wait_first(std::vector<future<int>>()).done.empty());
    CHECK(wait_first_exception(std::vector<future<int>>()).done.empty());
    CHECK(wait_all(std::vector<future<int>>()).done.empty());
}

TEST_CASE("parity 101: completions come in their order, and the late ones are counted") {
    std::vector<promise<int>> promises(4);
    const auto all = futures_of(promises);
    CHECK(promises[3].set_value(3));
    completed_futures<int> order(all);
    CHECK(order.next() == all[3]);
    CHECK(order.next_for(1ms).error() == channel_error::empty);
    CHECK(order.unfinished() == 3);
    CHECK(order.size() == 4);
    CHECK(promises[1].set_value(1));
    CHECK(promises[0].set_exception(failure()));
    CHECK(order.next() == all[1]);
    CHECK(order.next_for(-1s) == all[0]);
    CHECK(order.unfinished() == 1);
    std::jthread last([&] { CHECK(all[2].cancel() == cancellation::canceled); });
    CHECK(order.next() == all[2]);
    CHECK(order.next().error() == channel_error::closed);

    int sum = 0;
    CHECK(promises.size() == 4);
    for (const future<int>& each : as_completed(std::vector{all[3], all[1], all[3]})) sum += each.result();
    CHECK(sum == 4);
}

TEST_CASE("waits that were given up leave nothing behind in what they waited for") {
    promise<int> number;
    const auto it = number.get_future();
    const auto witness = std::make_shared<int>();
    for (int i = 0; i < 100; ++i) CHECK(wait_first(std::vector{it}, 0s).done.empty());
    completed_futures<int> kept({it});
    for (int i = 0; i < 100; ++i) CHECK(wait_first(std::vector{it}, 0s).done.empty());
    it.on_done([witness](const auto&) {});
    CHECK(number.set_value(1));
    CHECK(witness.use_count() == 1);
    CHECK(kept.next() == it);
}

TEST_CASE("a value that can only be moved is taken, and one handle less makes a move of a copy") {
    promise<std::unique_ptr<int>> pointer;
    CHECK(pointer.set_value(std::make_unique<int>(4)));
    const auto future_pointer = pointer.get_future();
    CHECK(**future_pointer.result_for(0s) == 4);
    CHECK(*pointer.get_future().take() == 4);

    promise<std::string> words;
    CHECK(words.set_value(100, 'x'));
    future<std::string> it = words.get_future();
    const char* const address = it.result().data();
    CHECK(std::move(it).result().data() != address);
    it = words.get_future();
    {
        const promise<std::string> gone = std::move(words);
    }
    CHECK(std::move(it).result().data() == address);
}
