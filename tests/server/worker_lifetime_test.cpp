#include <doctest/doctest.h>

#include <cstdint>
#include <random>
#include <set>

#include "server/worker_handle.hpp"

using namespace confab;

TEST_CASE("each worker is recycled between three quarters and all of the bounds, and not together") {
    const WorkerHandle::Lifetime most{.served = 1000, .memory_bytes = 1'000'000};
    std::minstd_rand random(1);
    std::set<std::uint64_t> different;
    for (int worker = 0; worker < 100; ++worker) {
        const WorkerHandle::Lifetime drawn = most.drawn(random);
        CHECK(drawn.served >= 750);
        CHECK(drawn.served <= 1000);
        CHECK(drawn.memory_bytes >= 750'000);
        CHECK(drawn.memory_bytes <= 1'000'000);
        different.insert(drawn.served);
    }
    CHECK(different.size() > 50);
}

TEST_CASE("without bounds a worker is never recycled, and with the smallest after one connection") {
    std::minstd_rand random(1);
    for (int worker = 0; worker < 100; ++worker) {
        CHECK(WorkerHandle::Lifetime{}.drawn(random).served == 0);
        CHECK(WorkerHandle::Lifetime{.served = 1}.drawn(random).served == 1);
    }
}
