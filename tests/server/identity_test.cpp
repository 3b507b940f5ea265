// As whom a server serves: in children, since nobody comes back from being somebody else.
#include "server/identity.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

#include "tests/support/child.hpp"

using namespace confab;

namespace {

// For the rest of a child's life. Without root's rights it is nobody of importance anyway.
void lose_all_rights() {
    if (::geteuid() == 0) become({.user = 65534, .group = 65534, .groups = {65534}});
}

}  // namespace

TEST_CASE("who is not root is told that only root can be others, whoever he asks for") {
    Child child([] {
        lose_all_rights();
        const auto user = find_identity("root", "");
        const auto group = find_identity("", "root");
        return !user && !group && user.error().contains("root, who alone") && user.error() == group.error()
                   ? 0
                   : 1;
    });
    CHECK(child.join() == 0);
}

TEST_CASE("when nobody is asked for, nobody is found") {
    const auto identity = find_identity("", "");
    REQUIRE(identity);
    CHECK(!*identity);
}

TEST_CASE("who cannot become another one hears so, with the reason") {
    Child child([] {
        lose_all_rights();
        try {
            become({.user = 0, .group = 0, .groups = {0}});
        } catch (const std::runtime_error& failure) {
            return std::string(failure.what()) == "cannot become user 0 of group 0: Operation not permitted"
                       ? 0
                       : 2;
        }
        return 1;
    });
    CHECK(child.join() == 0);
}
