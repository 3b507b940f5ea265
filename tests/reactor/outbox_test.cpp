#include "reactor/outbox.hpp"

#include <functional>
#include <string>

#include "tests/reactor/every_mechanism.hpp"

using namespace confab;
using namespace confab::testing;

namespace {

const std::string more_than_fits(std::size_t{12} << 20, 'a');  // into the buffers of any socket here

SharedBytes bytes(std::string_view text) { return SharedBytes::copy_of(std::as_bytes(std::span(text))); }

/// An outbox that is used from within its reactor, and has sent all it will when it ends.
struct Box : Outbox {
    Box(World& owner, int fd) : Outbox(fd), world(owner) {}
    ~Box() {
        if (sending()) act([this] { abandon(-ECANCELED); });
        let_end();
    }
    void let_end() {
        while (sending()) world.reactor().run();
    }
    void act(const std::function<void()>& action) {
        struct Action : Job {
            explicit Action(const std::function<void()>& todo)
                : Job([](Job& job) noexcept { static_cast<Action&>(job).function(); }), function(todo) {}
            const std::function<void()>& function;
        } job(action);
        world.reactor().ready(job);
        world.reactor().turn();
    }
    World& world;
};

}  // namespace

EVERY_MECHANISM("urgent bytes go before all that waits, in their own order") {
    const auto [here, there] = world.pair();
    Box outbox(world, here);
    outbox.push(bytes("one "));
    outbox.push_urgent(bytes("now "));
    outbox.push(bytes("two "));
    outbox.push_urgent(bytes("and now "));
    CHECK(outbox.urgent_size() == 12);
    CHECK(outbox.size() == 20);
    outbox.act([&] { outbox.flush(); });
    CHECK(world.text_from(there, 20) == "now and now one two ");
    outbox.let_end();
    CHECK(outbox.urgent_size() == 0);
}

EVERY_MECHANISM("urgent bytes do not tear what the peer has the beginning of") {
    const auto [here, there] = world.pair();
    Box outbox(world, here);
    outbox.push(bytes(more_than_fits));
    outbox.act([&] { outbox.flush(); });
    REQUIRE(outbox.sending());
    outbox.push(bytes("later"));
    outbox.push_urgent(bytes("now "));
    const std::string all = world.text_from(there, more_than_fits.size() + 9);
    CHECK(all.find_first_not_of('a') == more_than_fits.size());
    CHECK(all.ends_with("anow later"));
}

EVERY_MECHANISM("urgent bytes are withdrawn where they would have been sent") {
    const auto [here, there] = world.pair();
    Box outbox(world, here);
    outbox.push(bytes(more_than_fits));
    outbox.act([&] { outbox.flush(); });
    REQUIRE(outbox.sending());
    outbox.push(bytes("later"));
    outbox.push_urgent(bytes("now "));
    outbox.act([&] { outbox.pause(); });
    outbox.let_end();
    const std::string rest = outbox.withdraw();
    CHECK(rest.size() < more_than_fits.size() + 9);
    CHECK(rest.ends_with("anow later"));
    const std::size_t sent = more_than_fits.size() + 9 - rest.size();
    CHECK(world.text_from(there, sent).find_first_not_of('a') == std::string::npos);
}
