#include "server/strategy.hpp"

#include <doctest/doctest.h>

using namespace confab;

TEST_CASE("every named strategy can be made") {
    for (const NamedStrategy& each : named_strategies()) {
        CAPTURE(each.name);
        const auto strategy = make_strategy({.name = std::string(each.name)}, 2);
        REQUIRE(strategy);
        CHECK(strategy->name == each.name);
    }
}

TEST_CASE("without a word it is a reactor per core") {
    const auto strategy = make_strategy({}, 3);
    REQUIRE(strategy);
    CHECK(strategy->name == "percore");
    CHECK(strategy->threads == ThreadCount{3});
}

TEST_CASE("threads and waiting make a strategy of their own") {
    const auto strategy = make_strategy({.threads = "4", .waiting = "poll"}, 2);
    REQUIRE(strategy);
    CHECK(strategy->name == "1x4xpoll");
    CHECK(strategy->waiting == Waiting::poll);
}

TEST_CASE("what makes no sense is refused with what is allowed") {
    CHECK_FALSE(make_strategy({.name = "magic"}, 2));
    CHECK_FALSE(make_strategy({.threads = "0"}, 2));
    CHECK_FALSE(make_strategy({.threads = "many"}, 2));
    CHECK_FALSE(make_strategy({.waiting = "simulated"}, 2));
    CHECK_FALSE(make_strategy({.name = "callback", .threads = "2"}, 2));
    CHECK(make_strategy({.name = "magic"}, 2).error().find("percore") != std::string::npos);
}

TEST_CASE("a process for each connection takes no threads but one, and says why") {
    for (const char* const threads : {"2", "each"}) {
        const auto strategy = make_strategy({.processes = "each", .threads = threads}, 2);
        REQUIRE_FALSE(strategy);
        CHECK(strategy.error().contains("--processes each gives a process one connection"));
    }
    CHECK(make_strategy({.processes = "each", .threads = "1"}, 2));
}

TEST_CASE("connections travel wherever processes are replaced") {
    for (const char* const name : {"prefork", "processpool", "hybrid"}) {
        CAPTURE(name);
        CHECK(make_strategy({.name = name}, 2)->connections_travel());
    }
    CHECK_FALSE(make_strategy({.name = "fork"}, 2)->connections_travel());
    CHECK_FALSE(make_strategy({.name = "epoll"}, 2)->connections_travel());
}

TEST_CASE("blocking threads serve one connection at a time, unless each has its own") {
    CHECK(make_strategy({.name = "sequential"}, 2)->one_at_a_time());
    CHECK(make_strategy({.name = "threadpool"}, 2)->one_at_a_time());
    CHECK_FALSE(make_strategy({.name = "thread"}, 2)->one_at_a_time());
    CHECK_FALSE(make_strategy({.name = "epoll"}, 2)->one_at_a_time());
}
