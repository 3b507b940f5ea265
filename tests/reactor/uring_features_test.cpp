#include "reactor/uring_features.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace confab;

namespace {

UringFeatures parsed(std::string_view text) {
    const auto features = parse_uring_features(text);
    REQUIRE(features.has_value());
    return *features;
}

std::string complaint(std::string_view text) {
    const auto features = parse_uring_features(text);
    REQUIRE_FALSE(features.has_value());
    return features.error();
}

}  // namespace

TEST_CASE("all is every io_uring feature and none is no feature") {
    CHECK(parsed("all") == UringFeatures::all());
    CHECK(parsed("none") == UringFeatures{});
    CHECK(UringFeatures::all().has(UringFeature::cancel_by_fd));
    CHECK_FALSE(UringFeatures{}.has(UringFeature::defer_taskrun));
}

TEST_CASE("a feature with a minus is left out of what came before") {
    UringFeatures expected = UringFeatures::all();
    expected.remove(UringFeature::incremental);
    expected.remove(UringFeature::multishot_receive);
    CHECK(parsed("all,-incremental,-multishot_receive") == expected);
}

TEST_CASE("a list that begins with a minus leaves out of all") {
    CHECK(parsed("-incremental") == parsed("all,-incremental"));
}

TEST_CASE("a list of features is just these") {
    CHECK(parsed("defer_taskrun,buffer_ring") ==
          UringFeatures{UringFeature::defer_taskrun, UringFeature::buffer_ring});
}

TEST_CASE("a later word outdoes an earlier one") {
    CHECK(parsed("buffer_ring,-buffer_ring") == UringFeatures{});
    CHECK(parsed("all,none,incremental") == UringFeatures{UringFeature::incremental});
}

TEST_CASE("a word that is no feature is named together with what is allowed") {
    CHECK(complaint("all,-zero_copy") ==
          "'-zero_copy' is no io_uring feature: all, none, or any of defer_taskrun, coop_taskrun, "
          "registered_ring, buffer_ring, incremental, multishot_receive, receive_cap, multishot_accept, "
          "cancel_by_fd, each with - in front to leave it out");
    CHECK(complaint("").starts_with("'' is no io_uring feature"));
    CHECK(complaint("all,").starts_with("'' is no io_uring feature"));
    CHECK(complaint("-all").starts_with("'-all' is no io_uring feature"));
}

TEST_CASE("features are named in one order whatever order they were added in") {
    CHECK(UringFeatures{UringFeature::incremental, UringFeature::defer_taskrun}.names() ==
          "defer_taskrun, incremental");
    CHECK(UringFeatures{}.names().empty());
}
