#include "pools/serialise.hpp"

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "pools/processes/shared_memory.hpp"

using namespace confab;

namespace {

template <class T>
T there_and_back(const T& value) {
    return from_bytes<T>(to_bytes(value));
}

struct Point {
    int x = 0;
    int y = 0;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(x, y);
    }
    friend bool operator==(const Point&, const Point&) = default;
};

struct Silent {
    int number;
};

enum class Colour : std::uint8_t { red, green };

int twice(int number) { return 2 * number; }

}  // namespace

TEST_CASE("values of many types are the same after the journey") {
    CHECK(there_and_back(-7) == -7);
    CHECK(there_and_back(1.5) == 1.5);
    CHECK(there_and_back(true));
    CHECK(there_and_back(Colour::green) == Colour::green);
    CHECK(there_and_back(std::string("with\0zero", 9)) == std::string("with\0zero", 9));
    CHECK(there_and_back(std::vector{1, 2, 3}) == std::vector{1, 2, 3});
    CHECK(there_and_back(std::vector<bool>{true, false, true}) == std::vector<bool>{true, false, true});
    CHECK(there_and_back(std::vector<std::string>{"", "a"}) == std::vector<std::string>{"", "a"});
    CHECK(there_and_back(std::map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}}).at("a").front() ==
          1);
    CHECK(there_and_back(std::optional<int>()) == std::nullopt);
    CHECK(there_and_back(std::tuple(1, std::string("two"))) == std::tuple(1, std::string("two")));
    CHECK(there_and_back(std::variant<int, std::string>("text")) == std::variant<int, std::string>("text"));
    CHECK(there_and_back(std::array{1, 2}) == std::array{1, 2});
    CHECK(there_and_back(std::chrono::milliseconds(5)) == std::chrono::milliseconds(5));
    CHECK(there_and_back(Point{1, 2}) == Point{1, 2});
    CHECK(there_and_back(std::vector<Point>{{1, 2}, {3, 4}}).back() == Point{3, 4});
    CHECK(*from_bytes<std::unique_ptr<int>>(to_bytes(std::make_unique<int>(5))) == 5);
}

TEST_CASE("functions and lambdas without captures are carried by what they are") {
    CHECK(there_and_back(&twice)(21) == 42);
    const auto thrice = [](int number) { return 3 * number; };
    CHECK(there_and_back(thrice)(2) == 6);
    CHECK(to_bytes(thrice).empty());
}

TEST_CASE("what cannot mean the same elsewhere cannot be carried") {
    static_assert(serialisable<std::string> && serialisable<Point> && serialisable<reader>);
    static_assert(!serialisable<int*> && !serialisable<const char*> && !serialisable<std::string_view>);
    static_assert(!serialisable<Silent>);
    [[maybe_unused]] int captured = 0;
    [[maybe_unused]] const auto capturing = [&captured] { return captured; };
    static_assert(!serialisable<decltype(capturing)>);
}

TEST_CASE("bytes that are too few, too many or of another type are an error, not garbage") {
    const auto bytes = to_bytes(std::string("a text"));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CHECK_THROWS_AS(from_bytes<std::string>(std::span(bytes).first(size)), serialisation_error);
    }
    CHECK_THROWS_AS(from_bytes<int>(bytes), serialisation_error);
}

TEST_CASE("ends of pipes and shared memory travel as descriptors beside the bytes") {
    auto [receiver, sender] = make_pipe();
    processes::shared<int> number(5);
    std::vector<std::byte> bytes;
    std::vector<int> descriptors;
    byte_writer out(bytes, &descriptors);
    serialise(out, sender);
    serialise(out, number);
    CHECK(bytes.empty());
    REQUIRE(descriptors.size() == 2);

    std::vector<Fd> arrived;
    for (const int descriptor : descriptors) arrived.emplace_back(::dup(descriptor));
    byte_reader in(bytes, arrived);
    auto other_sender = deserialise<writer>(in);
    const auto other_number = deserialise<processes::shared<int>>(in);
    CHECK(in.is_at_end());
    CHECK(other_sender.send("hello"));
    CHECK(receiver.receive()->text() == "hello");
    *other_number = 6;
    CHECK(*number == 6);

    CHECK_THROWS_AS(static_cast<void>(to_bytes(sender)), std::logic_error);
}
