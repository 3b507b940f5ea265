#include "server/processors.hpp"

#include <doctest/doctest.h>

#include <array>
#include <thread>
#include <vector>

using namespace confab;

using Numbers = std::vector<int>;

TEST_CASE("the threads of all workers take the processors in turn, and begin again when there are no more") {
    constexpr std::array usable{2, 3, 5};
    CHECK(processors_of(usable, 0, 1) == Numbers{2});
    CHECK(processors_of(usable, 2, 1) == Numbers{5});
    CHECK(processors_of(usable, 3, 1) == Numbers{2});
    CHECK(processors_of(usable, 0, 2) == Numbers{2, 3});
    CHECK(processors_of(usable, 1, 2) == Numbers{5, 2});
    CHECK(processors_of(usable, 0, 4) == Numbers{2, 3, 5, 2});
}

TEST_CASE("a thread stays where it is told, and so do those it makes") {
    const Numbers before = usable_processors();
    REQUIRE(!before.empty());
    Numbers of_child;
    std::jthread([&] {
        const Numbers last{before.back()};
        CHECK(stay_on(last));
        CHECK(usable_processors() == last);
        std::jthread([&] { of_child = usable_processors(); }).join();
    }).join();
    CHECK(of_child == Numbers{before.back()});
    CHECK(usable_processors() == before);
}

TEST_CASE("a thread that cannot stay on a processor that is not there stays as it is") {
    const Numbers before = usable_processors();
    CHECK_FALSE(stay_on({}));
    CHECK(usable_processors() == before);
}
