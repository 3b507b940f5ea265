// What is io_uring's own: each of its features may be missing, and nothing that a user sees may change.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "tests/reactor/uring_support.hpp"

using namespace confab;
using namespace confab::testing;

namespace {

std::string described(const char* features) {
    ReactorOptions options;
    options.waiting = Waiting::uring;
    options.uring_features = features;
    return Reactor(options).description();
}

}  // namespace

TEST_CASE("io_uring says which features are in use and a mask takes them away") {
    if (!has_uring()) return;
    CHECK(described("none") == "io_uring");
    CHECK(described("multishot_accept") == "io_uring (multishot_accept)");
    const std::string all = described("all");
    for (const char* feature : {"incremental", "multishot_receive", "defer_taskrun"}) {
        if (all.find(feature) == std::string::npos) MESSAGE("NOT TESTED: this kernel lacks ", feature);
        CHECK(described((std::string("all,-") + feature).c_str()).find(feature) == std::string::npos);
    }
}

TEST_CASE("without the buffers they need, receives are not armed for more than one") {
    if (!has_uring()) return;
    CHECK(described("incremental,multishot_receive,receive_cap") == "io_uring");
    CHECK(described("buffer_ring,receive_cap").find("receive_cap") == std::string::npos);
}

TEST_CASE("a feature that does not exist is refused by name") {
    ReactorOptions options;
    options.waiting = Waiting::uring;
    options.uring_features = "all,-teleport";
    CHECK_THROWS_WITH_AS(Reactor{options}, doctest::Contains("'-teleport' is no io_uring feature"),
                         std::invalid_argument);
}

EVERY_URING("bytes that come while nobody receives are kept, in order") {
    const auto [here, there] = world.pair();
    CHECK(world.send(there, "first ") == 6);
    CHECK(world.text_from(here) == "first ");
    std::string sent;
    for (int i = 0; i < 40; ++i) {
        const std::string text = std::to_string(i) + ' ';
        send_raw(there, text);
        sent += text;
        world.let_pass();
    }
    CHECK(world.text_from(here, sent.size()) == sent);
}

EVERY_URING("bytes that came before their receive was cancelled go to the next one") {
    const auto [here, there] = world.pair();
    for (int i = 0; i < 10; ++i) {
        Call receive(Operation::Kind::receive, here);
        world.start(receive);
        if (i % 2 == 0) world.let_pass();
        send_raw(there, "kept");
        world.reactor().cancel(receive);
        if (world.end(receive) == -ECANCELED) {
            CHECK(world.text_from(here) == "kept");
        } else {
            CHECK(receive.text == "kept");
        }
    }
}

EVERY_URING("an end of stream that came when nobody received is told again and again") {
    const auto [here, there] = world.pair();
    send_raw(there, "last words");
    CHECK(world.text_from(here) == "last words");
    CHECK(::shutdown(there, SHUT_WR) == 0);
    world.let_pass();
    for (int i = 0; i < 3; ++i) CHECK(world.receive(here) == 0);
}

EVERY_URING("a reset that came when nobody received is told to the next receive") {
    if (world.is_unix()) return;
    const auto [here, there] = world.pair();
    send_raw(there, "last words");
    CHECK(world.text_from(here) == "last words");
    world.sockets().reset(world.let_go(there));
    world.let_pass();
    CHECK(world.receive(here) == -ECONNRESET);
}

EVERY_URING("megabytes arrive whole, sent as one part or as several") {
    const auto [here, there] = world.pair();
    for (const std::size_t parts : {std::size_t{1}, std::size_t{5}}) {
        std::vector<std::string> texts;
        for (std::size_t i = 0; i < parts; ++i)
            texts.push_back(pattern(3'000'000 / parts, static_cast<unsigned>(i)));
        SendCall send(there, texts);
        world.start(send);
        std::string expected;
        for (const std::string& text : texts) expected += text;
        CHECK((world.text_from(here, expected.size()) == expected));
        CHECK(world.end(send) == static_cast<int>(expected.size()));
    }
}

EVERY_URING("what both sides send at once arrives at both") {
    const auto [here, there] = world.pair();
    SendCall from_here(here, {pattern(2'000'000, 1)});
    SendCall from_there(there, {pattern(2'000'000, 2)});
    Reader reader_here(world, here);
    Reader reader_there(world, there);
    world.start(from_here);
    world.start(from_there);
    world.run_until([&] { return reader_here.size() == 2'000'000 && reader_there.size() == 2'000'000; });
    CHECK((reader_here.text() == pattern(2'000'000, 2)));
    CHECK((reader_there.text() == pattern(2'000'000, 1)));
    CHECK(world.end(from_here) == 2'000'000);
    CHECK(world.end(from_there) == 2'000'000);
}

EVERY_URING("a send that nobody takes can be cancelled, and the descriptor closed") {
    const auto [here, there] = world.pair();
    SendCall send(here, {std::string(32'000'000, 'x')});
    world.start(send);
    world.let_pass();
    CHECK_FALSE(send.over);
    world.reactor().cancel(send);
    CHECK(world.end(send) == -ECANCELED);
    CHECK(world.close(here) == 0);
}

EVERY_URING("a close ends all that is in flight on its descriptor first") {
    const auto [here, there] = world.pair();
    send_raw(there, "before");
    CHECK(world.text_from(here) == "before");
    Call receive(Operation::Kind::receive, here);
    SendCall send(here, {std::string(32'000'000, 'x')});
    world.start(receive);
    world.start(send);
    world.let_pass();
    Call close(Operation::Kind::close, world.let_go(here));
    bool was_last = false;
    close.when_over = [&](Call&) { was_last = receive.over && send.over; };
    CHECK(world.result_of(close) == 0);
    CHECK(was_last);
    CHECK(receive.result == -ECANCELED);
    CHECK(send.result == -ECANCELED);
    CHECK(has_ended(there));
}

EVERY_URING("a listener is closed with an accept in flight") {
    const int listener = world.listener();
    Call accept(Operation::Kind::accept, listener);
    world.start(accept);
    world.let_pass();
    CHECK(world.close(listener) == 0);
    CHECK(accept.over);
    CHECK(accept.result == -ECANCELED);
}

EVERY_URING("a number is somebody else's after its close") {
    for (int i = 0; i < 20; ++i) {
        const auto [here, there] = world.pair();
        send_raw(there, "to " + std::to_string(i));
        CHECK(world.text_from(here) == "to " + std::to_string(i));
        Call receive(Operation::Kind::receive, here);
        if (i % 2 == 0) world.start(receive);
        CHECK(world.close(here) == 0);
        CHECK(world.close(there) == 0);
    }
}

EVERY_URING(
    "what a socket closed behind the reactor's back leaves armed is not the next one's with its number") {
    const auto [here, there] = world.pair();
    const int listener = world.listener();
    const int client = world.socket();
    {
        Call armed(Operation::Kind::receive, here);
        world.start(armed);
        world.let_pass();
    }  // cancelled; what was armed for it stays
    const auto speak = [peer = there](std::string_view text) {  // into the void, perhaps
        (void)::send(peer, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    };
    speak("before");
    world.let_pass();
    REQUIRE(world.connect(client, world.sockets().endpoint(listener)) == 0);
    ::close(world.let_go(here));
    speak("in between");
    const int accepted = world.accept(listener);
    REQUIRE(accepted == here);
    speak("after");
    world.let_pass();
    CHECK(world.send(client, "for the living") == 14);
    CHECK(world.text_from(accepted, 14) == "for the living");
}

EVERY_URING("connections that nobody asked for are kept for the next accepts") {
    const int listener = world.listener();
    std::vector<Fd> clients = connect_raw(world, listener, 1);
    CHECK(world.accept(listener) >= 0);
    for (int round = 0; round < 3; ++round) {
        std::vector<Fd> more = connect_raw(world, listener, 40);
        world.let_pass();
        for (std::size_t i = 0; i < more.size(); ++i) {
            const int fd = world.accept(listener);
            REQUIRE(fd >= 0);
            CHECK(world.close(fd) == 0);
        }
        for (const Fd& client : more) CHECK(has_ended(client.get()));
    }
}

EVERY_URING("closing a listener ends the connections that nobody asked for") {
    const int listener = world.listener();
    std::vector<Fd> clients = connect_raw(world, listener, 1);
    CHECK(world.accept(listener) >= 0);
    const std::vector<Fd> unclaimed = connect_raw(world, listener, 30);
    world.let_pass();
    CHECK(world.close(listener) == 0);
    for (const Fd& client : unclaimed) CHECK(has_ended(client.get()));
}

EVERY_URING("an accept without descriptors says so, and the next one goes on") {
    const int listener = world.listener();
    const std::vector<Fd> clients = connect_raw(world, listener, 3);
    world.sockets().leave_descriptors(2);
    const int first = world.accept(listener);
    REQUIRE(first >= 0);
    CHECK(world.accept(listener) >= 0);
    CHECK(world.accept(listener) == -EMFILE);
    CHECK(world.accept(listener) == -EMFILE);
    CHECK(world.close(first) == 0);
    CHECK(world.accept(listener) >= 0);
}

EVERY_URING("more operations than both queues hold all end") {
    std::vector<Fd> ready;
    std::vector<std::unique_ptr<Call>> polls;
    for (int i = 0; i < 60; ++i) {
        ready.emplace_back(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
        REQUIRE(ready.back());
        for (int j = 0; j < 100; ++j) {
            polls.push_back(std::make_unique<Call>(Operation::Kind::poll, ready.back().get()));
            polls.back()->events = POLLIN;
            world.start(*polls.back());
        }
    }
    int right = 0;
    for (const auto& poll : polls) right += static_cast<int>(world.end(*poll) == POLLIN);
    CHECK(right == 6000);
    CHECK(world.reactor().ledger().overflows > 0);
}

EVERY_URING("a poll ends when it is cancelled") {
    const Fd never_ready(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    REQUIRE(never_ready);
    Call poll(Operation::Kind::poll, never_ready.get());
    poll.events = POLLIN;
    world.start(poll);
    world.let_pass();
    world.reactor().cancel(poll);
    CHECK(world.end(poll) == -ECANCELED);
}

EVERY_URING("every post of another thread wakes the reactor") {
    struct Counted : Job {
        Counted()
            : Job([](Job& job) noexcept {
                  static_cast<Counted&>(job).ran = true;
                  Reactor::current()->stop();
              }) {}
        bool ran = false;
    };
    world.reactor().hold();
    for (int i = 0; i < 100; ++i) {
        Counted job;
        std::jthread other([&] { world.reactor().post(job); });
        world.run_until([&] { return job.ran; });
    }
    world.reactor().release_hold();
}

TEST_CASE("a reactor that ends lets go of what was armed") {
    if (!has_uring()) return;
    for (const char* const mask : uring_masks) {
        INFO("with ", std::string(mask));
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
        const Fd there(ends[1]);
        {
            const Fd here(ends[0]);
            World world(Waiting::uring, make_kernel_sockets(Family::tcp4, mask));
            send_raw(there.get(), "some");
            CHECK(world.text_from(here.get()) == "some");
        }
        CHECK(has_ended(there.get()));
    }
}
