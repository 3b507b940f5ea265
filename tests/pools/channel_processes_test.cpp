// What only channels between processes have: parity 58, 59 and 62. The rest is in channel_test.cpp and
// channel_deaths_test.cpp.
#include <doctest/doctest.h>
#include <fcntl.h>

#include <expected>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "pools/processes/shared_memory.hpp"
#include "tests/pools/channel_kinds.hpp"

using namespace confab;
using namespace std::chrono_literals;
using processes::channel;
using processes::delivery;
using processes::shared;

TEST_CASE("parity 58: a process ends though nobody has got what it put") {
    channel<int> numbers(1000);
    Child putter([&] {
        while (numbers.try_put(1)) {
        }
        return 0;
    });
    CHECK(putter.join() == 0);
    CHECK(numbers.size() == 1000);
}

// Parity 59, a value that cannot be sent: it does not compile.
struct Polymorphic {
    virtual ~Polymorphic() = default;
};
static_assert(processes::message<int> && processes::message<std::string> &&
              processes::message<std::vector<double>>);
static_assert(processes::message<std::map<std::string, std::vector<std::string>>>);
static_assert(!processes::message<int*> && !processes::message<Polymorphic> &&
              !processes::message<std::string_view>);
static_assert(!processes::message<shared<int>> && !processes::message<std::vector<int>*>);

TEST_CASE("values that have to be serialised come out as they went in") {
    using Index = std::map<std::string, std::vector<std::string>>;
    channel<Index> indices(10, delivery::at_most_once, 100);
    const Index index{{"one", {"a", "b"}}, {"two", {}}, {"three", {std::string(80, 'x')}}};
    Child putter([&] {
        for (int i = 0; i < 100; ++i) {
            if (!indices.put(index)) return 1;
        }
        return 0;
    });
    for (int i = 0; i < 100; ++i) CHECK((indices.get() == index));
    CHECK(putter.join() == 0);
}

TEST_CASE("work that is done out of order frees its place in order") {
    channel<int> numbers(3);
    for (int i = 0; i < 3; ++i) CHECK(numbers.put(i));
    auto zero = std::make_unique<std::expected<channel<int>::Taken, channel_error>>(numbers.take());
    auto one = std::make_unique<std::expected<channel<int>::Taken, channel_error>>(numbers.take());
    CHECK(***one == 1);
    one.reset();
    CHECK(numbers.full());
    zero.reset();
    CHECK(numbers.try_put(3));
    CHECK(numbers.try_put(4));
    CHECK(drain(numbers) == std::vector{2, 3, 4});
}

TEST_CASE("what a fork makes of a taken value has no effect") {
    channel<int> numbers(1);
    CHECK(numbers.put(1));
    auto taken = std::make_unique<std::expected<channel<int>::Taken, channel_error>>(numbers.take());
    CHECK(Child([&] {
              taken.reset();
              return 0;
          }).join() == 0);
    CHECK_FALSE(numbers.join_for(0s));
    taken.reset();
    CHECK(numbers.join_for(0s));
}

TEST_CASE("parity 62: a consumer that throws has still done its work; until then the value keeps its place") {
    channel<int> numbers(2);
    CHECK(numbers.put(1));
    CHECK(numbers.put(2));
    {
        const auto one = numbers.take();
        CHECK_FALSE(numbers.join_for(0s));
        CHECK(numbers.full());
    }
    CHECK_FALSE(numbers.full());
    try {
        const auto two = numbers.take();
        CHECK(**two == 2);
        throw std::runtime_error("the consumer fails");
    } catch (const std::runtime_error&) {
    }
    CHECK(numbers.join_for(0s));
}

TEST_CASE("values of any size go around the end of the memory, empty ones, too") {
    channel<std::string> texts(10, delivery::at_most_once, 50);
    Child putter([&] {
        for (std::size_t i = 0; i < 3000; ++i) {
            if (!texts.put(std::string(i % 301, static_cast<char>('a' + i % 26)))) return 1;
        }
        return 0;
    });
    for (std::size_t i = 0; i < 3000; ++i)
        CHECK(texts.get() == std::string(i % 301, static_cast<char>('a' + i % 26)));
    CHECK(putter.join() == 0);
    CHECK_THROWS_AS(static_cast<void>(texts.put(std::string(1000, 'x'))), std::logic_error);
}

TEST_CASE("a process that is no child attaches the channel by its descriptor; other memory is refused") {
    channel<int> numbers(10);
    CHECK(numbers.put(5));
    auto other = channel<int>::attach(Fd(::fcntl(numbers.descriptor().get(), F_DUPFD_CLOEXEC, 0)));
    CHECK(other.get() == 5);
    CHECK(other.put(6));
    CHECK(numbers.get() == 6);
    const processes::shared_memory memory(100'000);
    CHECK_THROWS_AS(channel<int>::attach(Fd(::fcntl(memory.descriptor().get(), F_DUPFD_CLOEXEC, 0))),
                    std::invalid_argument);
    auto of_text = channel<std::string>::attach(Fd(::fcntl(numbers.descriptor().get(), F_DUPFD_CLOEXEC, 0)));
    CHECK(of_text.put("longer than an int"));
    CHECK_THROWS_AS(static_cast<void>(numbers.get()), std::logic_error);
    CHECK(of_text.get() == "longer than an int");
}

TEST_CASE_TEMPLATE("sorted texts of any size use all of the room and come out whole", Kind, ProcessLifo,
                   ProcessPriority) {
    typename Kind::template Channel<std::string> texts(10, delivery::at_most_once, 8);
    CHECK(texts.put(std::string(80, 'a')));
    CHECK(texts.full());
    CHECK(texts.try_put("").error() == channel_error::full);
    CHECK(texts.get() == std::string(80, 'a'));
    for (std::size_t round = 0; round < 300; ++round) {
        const std::string one(round % 33, static_cast<char>('a' + round % 26));
        const std::string other(round % 41, static_cast<char>('a' + round % 25));
        CHECK(texts.try_put(one));
        CHECK(texts.try_put(other));
        std::vector<std::string> all = drain(texts);
        std::ranges::sort(all);
        CHECK(all == (one < other ? std::vector{one, other} : std::vector{other, one}));
    }
    CHECK_THROWS_AS(static_cast<void>(texts.put(std::string(81, 'x'))), std::logic_error);
}

TEST_CASE_TEMPLATE("who waits for much room does not keep those who need less from theirs", Kind, ProcessLifo,
                   ProcessPriority) {
    typename Kind::template Channel<std::string> texts(3, delivery::at_most_once, 8);
    for (int i = 0; i < 3; ++i) CHECK(texts.put("x"));
    Child large([&] { return texts.put(std::string(24, 'y')) ? 0 : 1; });
    large.until_asleep();
    Child small([&] { return texts.put("z") ? 0 : 1; });
    small.until_asleep();
    CHECK(texts.get() == "x");
    CHECK(small.join() == 0);
    for (int i = 0; i < 3; ++i) CHECK(texts.get().has_value());
    CHECK(large.join() == 0);
    CHECK(texts.get() == std::string(24, 'y'));
}

TEST_CASE_TEMPLATE("a sorted channel, too, is attached by its descriptor, and other memory is refused", Kind,
                   ProcessLifo, ProcessPriority) {
    using Channel = Kind::template Channel<int>;
    Channel numbers(10);
    CHECK(numbers.put(5));
    const auto descriptor = [](const auto& of) {
        return Fd(::fcntl(of.descriptor().get(), F_DUPFD_CLOEXEC, 0));
    };
    auto other = Channel::attach(descriptor(numbers));
    CHECK(other.get() == 5);
    CHECK(other.put(6));
    CHECK(numbers.get() == 6);
    CHECK_THROWS_AS(Channel::attach(descriptor(channel<int>(10))), std::invalid_argument);
    CHECK_THROWS_AS(Channel::attach(descriptor(processes::shared_memory(100'000))), std::invalid_argument);
}
