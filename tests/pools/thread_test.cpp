#include "pools/threads/thread.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include "pools/threads/event.hpp"

using namespace confab;
using namespace std::chrono_literals;
using threads::thread;

namespace {

bool is_listed(const std::string& name) {
    const auto threads = threads::all();
    return std::ranges::any_of(threads, [&](const auto& one) { return one.name == name; });
}

}  // namespace

TEST_CASE("a thread has a name, a life and a place in the list from start to end") {
    threads::event may_end;
    thread helper({.name = "helper"}, [&] { may_end.wait(); });
    CHECK_FALSE(helper.alive());
    CHECK(helper.id() == 0);
    CHECK_FALSE(is_listed("helper"));
    helper.start();
    CHECK(helper.alive());
    CHECK(helper.id() != ::gettid());
    CHECK(is_listed("helper"));
    may_end.set();
    helper.join();
    CHECK_FALSE(helper.alive());
    CHECK_FALSE(is_listed("helper"));
    helper.join();
}

TEST_CASE("the list of threads begins with the main one") {
    CHECK(threads::all().front().id == ::getpid());
    CHECK(threads::all().front().name == "main");
    CHECK(threads::current().name == "main");
}

TEST_CASE("a thread knows what it is") {
    threads::thread_info seen;
    std::string shown;
    thread helper({.name = "a long name of a thread"}, [&] {
        seen = threads::current();
        shown.resize(16);
        ::pthread_getname_np(::pthread_self(), shown.data(), shown.size());
    });
    helper.start();
    helper.join();
    CHECK(seen.name == "a long name of a thread");
    CHECK(seen.id == helper.id());
    CHECK_FALSE(seen.daemon);
    CHECK(shown == std::string("a long name of \0", 16));
}

TEST_CASE("nameless threads are numbered") {
    const thread one([] {});
    const thread two([] {});
    CHECK(one.name().starts_with("thread-"));
    CHECK(one.name() != two.name());
}

TEST_CASE("a thread runs a function on copies of its arguments, or what overrides run") {
    std::string text = "argument";
    std::string seen;
    thread helper([&seen](const std::string& given) { seen = given; }, text);
    text = "changed after it was copied";
    helper.start();
    helper.join();
    CHECK(seen == "argument");

    class Adder : public runnable {
      public:
        Adder(std::atomic<int>& sum, int summand) : sum_(&sum), summand_(summand) {}
        void run(std::stop_token) override { *sum_ += summand_; }

      private:
        std::atomic<int>* sum_;
        int summand_;
    };
    std::atomic<int> sum = 30;
    thread adder(Adder(sum, 12));
    adder.start();
    adder.join();
    CHECK(sum == 42);
}

TEST_CASE("a thread's handle asks it to stop and joins it when it dies or gets another") {
    std::atomic<int> stopped = 0;
    const auto until_stopped = [&](const std::stop_token& stop) {
        threads::event asked;
        const std::stop_callback callback(stop, [&] { asked.set(); });
        asked.wait();
        ++stopped;
    };
    {
        thread helper(until_stopped);
        helper.start();
        thread other(until_stopped);
        other.start();
        other = thread([] {});
        CHECK(stopped == 1);
    }
    CHECK(stopped == 2);
}

TEST_CASE("request_stop triggers the token, once") {
    std::atomic<bool> was_stopped = false;
    threads::event go;
    thread helper([&](const std::stop_token& stop) {
        go.wait();
        was_stopped = stop.stop_requested();
    });
    helper.start();
    CHECK(helper.request_stop());
    CHECK_FALSE(helper.request_stop());
    go.set();
    helper.join();
    CHECK(was_stopped);
}

TEST_CASE("a join that may take no time or less returns at once, and several threads may join") {
    threads::event may_end;
    thread helper([&] { may_end.wait(); });
    helper.start();
    CHECK_FALSE(helper.join_for(0s));
    CHECK_FALSE(helper.join_for(-1s));
    CHECK_FALSE(helper.join_for(1ms));
    std::array<bool, 4> joined{};
    {
        std::vector<thread> joiners;
        for (bool& is_joined : joined) {
            joiners.emplace_back([&] { is_joined = helper.join_for(1h); });
            joiners.back().start();
        }
        may_end.set();
    }
    CHECK(std::ranges::count(joined, true) == 4);
    CHECK(helper.join_for(-1s));
}

TEST_CASE("a daemon runs on when its handle dies, asked to stop") {
    threads::event asked;
    threads::event may_end;
    threads::event ended;
    {
        thread helper({.name = "daemon", .daemon = true}, [&](const std::stop_token& stop) {
            {
                const std::stop_callback callback(stop, [&] { asked.set(); });
                may_end.wait();
            }
            ended.set();
        });
        CHECK(helper.daemon());
        helper.start();
    }
    asked.wait();
    CHECK(is_listed("daemon"));
    may_end.set();
    ended.wait();
    while (is_listed("daemon")) ::sched_yield();
}

TEST_CASE("what a thread's handle cannot do it says") {
    threads::event may_end;
    thread helper([&] { may_end.wait(); });
    CHECK_THROWS_AS(helper.join(), std::logic_error);
    CHECK_THROWS_AS(helper.request_stop(), std::logic_error);
    CHECK_THROWS_AS(thread().start(), std::logic_error);
    helper.set_daemon(true);
    helper.set_daemon(false);
    helper.start();
    CHECK_THROWS_AS(helper.start(), std::logic_error);
    CHECK_THROWS_AS(helper.set_daemon(true), std::logic_error);
    may_end.set();
    helper.join();

    bool refused = false;
    thread narcissus;
    narcissus = thread([&] {
        try {
            narcissus.join();
        } catch (const std::logic_error&) {
            refused = true;
        }
    });
    narcissus.start();
    narcissus.join();
    CHECK(refused);
}
