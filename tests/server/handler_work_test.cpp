#include "server/handler_work.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <ctime>
#include <optional>

using namespace confab;
using namespace std::chrono_literals;

namespace {

Duration clock_time(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return std::chrono::seconds(time.tv_sec) + Duration(time.tv_nsec);
}

Duration processor_time() { return clock_time(CLOCK_THREAD_CPUTIME_ID); }

std::array<std::byte, 8> message(std::uint64_t number) {
    std::array<std::byte, 8> bytes{};
    std::memcpy(bytes.data(), &number, sizeof number);
    return bytes;
}

}  // namespace

TEST_CASE("work is read as it is written") {
    CHECK(HandlerWork::parse("none")->is_none());
    CHECK(HandlerWork::parse("compute:200us")->compute == 200us);
    CHECK(HandlerWork::parse("sleep:1.5ms")->sleep == 1500us);
    CHECK(HandlerWork::parse("mixed:20us/20ms")->compute == 20us);
    CHECK(HandlerWork::parse("mixed:20us/20ms")->rare_compute == 20ms);
    for (const char* wrong :
         {"", "compute", "compute:", "compute:5", "sleep:0ms", "sleep:-1ms", "mixed:1ms", "mixed:1ms/",
          "compute:1ms/2ms", "compute:2h", "sleep:100s", "rest:1ms", "none:1ms"}) {
        CAPTURE(wrong);
        CHECK(!HandlerWork::parse(wrong));
    }
}

TEST_CASE("a computation takes its processor time, then the bytes are changed") {
    const Transform work = with_work({.compute = 2ms}, to_upper);
    std::array<std::byte, 1> bytes{std::byte{'a'}};
    const Duration before = processor_time();
    work(bytes);
    CHECK(processor_time() - before >= 2ms);
    CHECK(bytes[0] == std::byte{'A'});
}

TEST_CASE("one that sleeps blocks the thread for as long") {
    const Transform work = with_work({.sleep = 2ms}, leave_as_is);
    std::array<std::byte, 1> bytes{};
    const Duration start = clock_time(CLOCK_MONOTONIC);
    work(bytes);
    CHECK(clock_time(CLOCK_MONOTONIC) - start >= 2ms);
}

TEST_CASE("about one message in a hundred is a rare one, which takes its own time") {
    std::optional<std::array<std::byte, 8>> one;
    int rare = 0;
    for (std::uint64_t number = 0; number < 10'000; ++number) {
        const auto bytes = message(number);
        if (!HandlerWork::is_rare(bytes)) continue;
        one = bytes;
        ++rare;
    }
    CHECK(rare >= 50);
    CHECK(rare <= 200);
    const Transform work = with_work({.compute = 1ns, .rare_compute = 3ms}, leave_as_is);
    const Duration before = processor_time();
    work(one.value());
    CHECK(processor_time() - before >= 3ms);
}
