#include <memory>
#include <span>

#include "tests/reactor/every_mechanism.hpp"

using namespace confab;
using namespace confab::testing;

namespace {

// `size` bytes, no two neighbouring stretches of which are alike.
std::string long_text(std::size_t size) {
    std::string text(size, '\0');
    std::uint32_t state = 12345;
    for (char& c : text) {
        state = state * 1664525 + 1013904223;
        c = static_cast<char>(state >> 24);
    }
    return text;
}

constexpr std::size_t more_than_fits = std::size_t{12} << 20;  // into the buffers of any socket here

}  // namespace

EVERY_MECHANISM("a receive that waits is given the bytes that a send brings") {
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    world.start(receive);
    world.let_pass();
    CHECK_FALSE(receive.over);
    CHECK(world.send(there, "hello") == 5);
    CHECK(world.end(receive) == 5);
    CHECK(receive.text == "hello");
}

EVERY_MECHANISM("a receive after the send is given its bytes") {
    const auto [here, there] = world.pair();
    CHECK(world.send(there, "hello") == 5);
    CHECK(world.text_from(here) == "hello");
}

EVERY_MECHANISM("messages go to and fro") {
    const auto [here, there] = world.pair();
    for (int i = 0; i < 100; ++i) {
        const std::string word = std::to_string(i);
        CHECK(world.send(here, word) == static_cast<int>(word.size()));
        CHECK(world.text_from(there, word.size()) == word);
        CHECK(world.send(there, word + '!') == static_cast<int>(word.size()) + 1);
        CHECK(world.text_from(here, word.size() + 1) == word + '!');
    }
}

EVERY_MECHANISM("a receive gives zero once the peer has shut down its sending, and again") {
    const auto [here, there] = world.pair();
    CHECK(world.send(there, "last") == 4);
    CHECK(world.shut_down(there, SHUT_WR) == 0);
    CHECK(world.text_from(here, 5) == "last");
    CHECK(world.receive(here) == 0);
    CHECK(world.send(here, "the other way is open") == 21);
    CHECK(world.text_from(there, 21) == "the other way is open");
}

EVERY_MECHANISM("a receive that waits is given zero when the peer closes") {
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    world.start(receive);
    world.let_pass();
    CHECK(world.close(there) == 0);
    CHECK(world.end(receive) == 0);
}

EVERY_MECHANISM("a receive that waits is given zero when this end shuts down its receiving") {
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    world.start(receive);
    world.let_pass();
    CHECK(world.shut_down(here, SHUT_RD) == 0);
    CHECK(world.end(receive) == 0);
}

EVERY_MECHANISM("bytes, a pause, and the end: each receive is told of what is new") {
    const auto [here, there] = world.pair();
    for (const char* const word : {"one", "two"}) {
        Call receive(Operation::Kind::receive, here);
        world.start(receive);
        world.let_pass();
        CHECK_FALSE(receive.over);
        CHECK(world.send(there, word) == 3);
        CHECK(world.end(receive) == 3);
        CHECK(receive.text == word);
    }
    Call receive(Operation::Kind::receive, here);
    world.start(receive);
    world.let_pass();
    CHECK_FALSE(receive.over);
    CHECK(world.close(there) == 0);
    CHECK(world.end(receive) == 0);
}

EVERY_MECHANISM("bytes and the end that come together are told one after the other") {
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    world.start(receive);
    world.let_pass();
    CHECK(world.send(there, "last words") == 10);
    CHECK(world.close(there) == 0);
    CHECK(world.end(receive) == 10);
    CHECK(world.receive(here) == 0);
}

EVERY_MECHANISM("a receive of a connection that was reset says ECONNRESET") {
    if (world.is_unix()) return;
    const auto [here, there] = world.pair();
    Call receive(Operation::Kind::receive, here);
    world.start(receive);
    world.let_pass();
    world.sockets().reset(world.let_go(there));
    CHECK(world.end(receive) == -ECONNRESET);
}

EVERY_MECHANISM("a send to a peer that is gone says EPIPE and raises no signal") {
    const auto [here, there] = world.pair();
    if (world.is_unix()) {
        CHECK(world.close(there) == 0);
    } else {
        world.sockets().reset(world.let_go(there));
        CHECK(world.receive(here) == -ECONNRESET);  // which tells the error once
    }
    CHECK(world.send(here, "anybody?") == -EPIPE);
    CHECK(world.reactor().send_now(here, std::as_bytes(std::span("x", 1))) == -EPIPE);
}

EVERY_MECHANISM("a send after shutting down one's sending says EPIPE") {
    const auto [here, there] = world.pair();
    CHECK(world.shut_down(here, SHUT_WR) == 0);
    CHECK(world.send(here, "x") == -EPIPE);
}

EVERY_REAL_MECHANISM("a socket that is not connected neither receives nor shuts down: ENOTCONN") {
    if (world.is_unix()) return;  // whose errors are others
    const int fd = world.socket();
    CHECK(world.receive(fd) == -ENOTCONN);
    CHECK(world.shut_down(fd, SHUT_WR) == -ENOTCONN);
}

EVERY_MECHANISM("the parts of a send arrive in order, empty ones between them") {
    const auto [here, there] = world.pair();
    SendCall send(here, {"", "one ", "", "two ", std::string(1000, '3'), "", "four", ""});
    CHECK(world.result_of(send) == 1012);
    CHECK(world.text_from(there, 1012) == "one two " + std::string(1000, '3') + "four");
}

EVERY_MECHANISM("a send of nothing is over with zero") {
    const auto [here, there] = world.pair();
    CHECK(world.send(here, "") == 0);
    SendCall none(here, {});
    CHECK(world.result_of(none) == 0);
    SendCall empty(here, {"", ""});
    CHECK(world.result_of(empty) == 0);
    CHECK(world.send(here, "x") == 1);
    CHECK(world.text_from(there) == "x");
}

EVERY_MECHANISM("a receive lends no more than the reactor was told, and the rest comes next") {
    const auto [here, there] = world.pair();
    const std::string text = long_text(50'000);
    CHECK(world.send(there, text) == 50'000);
    std::string all;
    while (all.size() < text.size()) {
        const std::string piece = world.text_from(here);
        REQUIRE(!piece.empty());
        CHECK(piece.size() <= ReactorOptions{}.receive_size);
        all += piece;
    }
    CHECK((all == text));
}

EVERY_MECHANISM("a large send is over when the last of it has gone, however slowly the peer reads") {
    const auto [here, there] = world.pair();
    const std::string text = long_text(more_than_fits);
    SendCall send(here, {text.substr(0, 1000), text.substr(1000, 5'000'000), text.substr(5'001'000)});
    world.start(send);
    world.let_pass();
    CHECK_FALSE(send.over);
    std::string all;
    for (int i = 0; i < 20 && !send.over; ++i) {
        all += world.text_from(there);
        world.let_pass();
    }
    CHECK_FALSE(send.over);
    while (all.size() < text.size()) all += world.text_from(there);
    CHECK(world.end(send) == static_cast<int>(text.size()));
    CHECK((all == text));
}

EVERY_MECHANISM("large sends cross each other on one connection") {
    const auto [here, there] = world.pair();
    const std::string text = long_text(more_than_fits);
    SendCall one(here, {text});
    SendCall other(there, {text});
    world.start(one);
    world.start(other);
    std::size_t size_here = 0;
    std::size_t size_there = 0;
    while (size_here < text.size() || size_there < text.size()) {
        if (size_here < text.size()) size_here += world.text_from(here).size();
        if (size_there < text.size()) size_there += world.text_from(there).size();
    }
    CHECK(world.end(one) == static_cast<int>(text.size()));
    CHECK(world.end(other) == static_cast<int>(text.size()));
}

EVERY_REAL_MECHANISM("a send that waits ends with ECONNRESET when the connection is reset") {
    if (world.is_unix()) return;
    const auto [here, there] = world.pair();
    SendCall send(here, {std::string(more_than_fits, 'x')});
    world.start(send);
    world.let_pass();
    world.sockets().reset(world.let_go(there));
    CHECK(world.end(send) == -ECONNRESET);
}

EVERY_MECHANISM("a send at once takes what fits, says EAGAIN when nothing does, and loses nothing") {
    const auto [here, there] = world.pair();
    const std::string text = long_text(std::size_t{64} * 1024);
    std::string taken;
    int result = 0;
    while (result >= 0) {
        SendCall send(here, {text.substr(0, 1000), text.substr(1000)});
        send.at_once = true;
        result = world.result_of(send);
        if (result > 0) taken += text.substr(0, static_cast<std::size_t>(result));
    }
    CHECK(result == -EAGAIN);
    CHECK(taken.size() > 0);
    CHECK((world.text_from(there, taken.size()) == taken));
    CHECK(world.send(here, "and on") == 6);
    CHECK(world.text_from(there, 6) == "and on");
}

EVERY_MECHANISM("send_now sends what fits, says EAGAIN when nothing does, and fits again once it was read") {
    const auto [here, there] = world.pair();
    const std::string text(std::size_t{64} * 1024, 'x');
    for (int round = 0; round < 3; ++round) {
        std::size_t sent = 0;
        int result = 0;
        while (true) {
            result = world.reactor().send_now(here, std::as_bytes(std::span(text)));
            if (result < 0) break;
            sent += static_cast<std::size_t>(result);
        }
        CHECK(result == -EAGAIN);
        CHECK(sent > 0);
        // It waits, but perhaps not for long: TCP may have moved on meanwhile and have room for it.
        SendCall last(here, {"the last"});
        world.start(last);
        world.let_pass();
        CHECK(world.text_from(there, sent + 8).size() == sent + 8);
        CHECK(world.end(last) == 8);
    }
}

EVERY_MECHANISM("receives on many connections each get their own bytes") {
    constexpr std::size_t count = 50;
    std::vector<Sockets::Pair> pairs;
    std::vector<std::unique_ptr<Call>> receives;
    for (std::size_t i = 0; i < count; ++i) {
        pairs.push_back(world.pair());
        receives.push_back(std::make_unique<Call>(Operation::Kind::receive, pairs.back().here));
        world.start(*receives.back());
    }
    for (std::size_t i = 0; i < count; ++i) {
        const std::string text = "number " + std::to_string(i);
        CHECK(world.send(pairs[i].there, text) == static_cast<int>(text.size()));
    }
    for (std::size_t i = 0; i < count; ++i) {
        CHECK(world.end(*receives[i]) > 0);
        CHECK(receives[i]->text == "number " + std::to_string(i));
    }
}

EVERY_MECHANISM("a send after a reset hears of the reset, though nobody was receiving") {
    if (world.is_unix()) return;
    const auto [here, there] = world.pair();
    CHECK(world.send(there, "x") == 1);
    CHECK(world.text_from(here) == "x");
    world.sockets().reset(world.let_go(there));
    int result = 0;
    do {  // a simulated reset takes its time
        world.let_pass();
        result = world.send(here, "y");
    } while (result == 1);
    CHECK(result == -ECONNRESET);
}
