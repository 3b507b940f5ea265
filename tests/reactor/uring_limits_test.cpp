// What a reactor on io_uring may use of memory and system calls, and what happens at the bounds.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <unordered_set>

#include "reactor/thread_counts.hpp"
#include "tests/reactor/uring_support.hpp"

using namespace confab;
using namespace confab::testing;

namespace {

/// Receives once, keeps what it is lent, and can be told to go on.
struct Holder {
    Holder(World& in, int fd) : world(in), receive(Operation::Kind::receive, fd) { world.start(receive); }

    void take_the_rest(std::size_t size) {
        text += receive.text;
        while (text.size() < size) text += world.text_from(receive.fd);
    }

    World& world;
    Call receive;
    std::string text;
};

/// Sends back what it receives, byte for byte, from where it lies.
struct Echo {
    Echo(World& in, int fd)
        : world(in), receive(Operation::Kind::receive, fd), send(Operation::Kind::send, fd) {
        receive.when_over = [this](Call&) { answer(); };
        send.when_over = [this](Call&) { world.start(receive); };
        world.start(receive);
    }

    void answer() {
        if (receive.result <= 0) return;
        if (world.reactor().traits().lends_scratch) {
            REQUIRE(world.reactor().send_now(receive.fd, receive.bytes) == receive.result);
            world.start(receive);
            return;
        }
        part = {receive.bytes.data(), receive.bytes.size()};
        send.parts = {.data = &part, .count = 1, .done = 0};
        world.start(send);
    }

    World& world;
    Call receive;
    Call send;
    iovec part{};
};

struct Echoes {
    std::vector<std::unique_ptr<Echo>> echoes;
    std::vector<int> peers;
};

Echoes start_echoes(World& world, int connections) {
    Echoes started;
    for (int i = 0; i < connections; ++i) {
        const auto [here, there] = world.pair();
        started.echoes.push_back(std::make_unique<Echo>(world, here));
        started.peers.push_back(there);
    }
    return started;
}

}  // namespace

// Past the bound, bytes stay in the sockets, where the peer's own send notices them.
EVERY_URING("a reader who does not read stops the receive, and loses nothing when he is back") {
    const auto [here, there] = world.pair();
    send_raw(there, "begin");
    CHECK(world.text_from(here) == "begin");
    constexpr std::size_t patience = 64'000'000;
    const std::string sent = pattern(1'000'000, 0);
    std::size_t taken = 0;
    int stuck = 0;
    while (stuck < 10 && taken < patience) {
        const std::size_t now = send_what_fits(there, std::string_view(sent).substr(taken % sent.size()));
        taken += now;
        stuck = now == 0 ? stuck + 1 : 0;
        world.let_pass();
    }
    CHECK(taken < patience);
    std::string received;
    while (received.size() < taken) received += world.text_from(here);
    CHECK(received.size() == taken);
    bool same = true;
    for (std::size_t i = 0; i < taken; ++i) same = same && received[i] == sent[i % sent.size()];
    CHECK(same);
}

// 600 connections whose readers hold what they were lent, or do not read on, take more than all provided
// buffers.
EVERY_URING("readers who hold all buffers keep nobody else from receiving") {
    constexpr std::size_t each = 80 * 1024;
    const std::string sent = pattern(each, 0);
    std::vector<int> peers;
    std::vector<std::unique_ptr<Holder>> holders;
    for (int i = 0; i < 320; ++i) {
        const auto [here, there] = world.pair();
        holders.push_back(std::make_unique<Holder>(world, here));
        peers.push_back(there);
    }
    std::vector<std::size_t> taken;
    for (const int peer : peers) {
        taken.push_back(send_what_fits(peer, sent));
        world.let_pass();
    }
    if (world.reactor().description().find("multishot_receive") != std::string::npos) {
        CHECK(world.reactor().ledger().buffers_exhausted > 0);
        CHECK(world.reactor().ledger().calls(SystemCall::receive) > 0);  // made for want of a buffer
    }
    const auto [here, there] = world.pair();
    for (int i = 0; i < 5; ++i) {
        const std::string text = "still here " + std::to_string(i);
        send_raw(there, text);
        CHECK(world.text_from(here, text.size()) == text);
    }
    for (std::size_t i = 0; i < holders.size(); ++i) {
        holders[i]->take_the_rest(taken[i]);
        CHECK((holders[i]->text == sent.substr(0, taken[i])));
    }
}

EVERY_URING("a receive lends no more than it may") {
    const auto [here, there] = world.pair();
    const std::string sent = pattern(150'000, 0);
    Call receive(Operation::Kind::receive, here);
    world.start(receive);
    send_raw(there, sent);
    world.end(receive);
    std::string received = receive.text;
    std::size_t most = received.size();
    while (received.size() < sent.size()) {
        const std::string piece = world.text_from(here);
        most = std::max(most, piece.size());
        received += piece;
    }
    CHECK((received == sent));
    CHECK(most <= ReactorOptions{}.receive_size);
}

// Fifty clients who each wait for their echo: the work of one turn.
EVERY_URING("an echo costs few system calls and no allocation once warm") {
    if (world.reactor().traits().lends_scratch) return;  // then each message is received and sent by a call
    constexpr int connections = 50;
    constexpr int rounds = 100;
    const auto [echoes, peers] = start_echoes(world, connections);
    const Ledger& ledger = world.reactor().ledger();
    const std::string message(64, 'm');
    std::uint64_t calls_before = 0;
    std::uint64_t allocations_before = 0;
    for (int round = -10; round < rounds; ++round) {
        if (round == 0) {
            calls_before = ledger.all_system_calls();
            allocations_before = thread_counts.allocations;
        }
        const std::uint64_t sent_before = ledger.bytes_sent;
        for (const int peer : peers) send_raw(peer, message);
        while (ledger.bytes_sent < sent_before + connections * message.size()) world.reactor().turn();
        std::array<char, 64> back{};
        for (const int peer : peers) REQUIRE(::recv(peer, back.data(), back.size(), MSG_DONTWAIT) == 64);
    }
    CHECK(ledger.all_system_calls() - calls_before <= connections * rounds / 4);
    CHECK(thread_counts.allocations - allocations_before == 0);
    for (const int peer : peers) REQUIRE(::shutdown(peer, SHUT_WR) == 0);
    for (const auto& echo : echoes)
        world.run_until([&] { return echo->receive.over && echo->receive.result == 0; });
}

// Each further doubling would be memory that the bytes have to pass through for ever, far from any cache.
EVERY_URING("many receives that find no buffer in one turn do not each double their number") {
    if (world.reactor().traits().lends_scratch) return;
    constexpr int connections = 50;
    const std::string message(16 * 1024, 'm');
    const auto [echoes, peers] = start_echoes(world, connections);
    const Ledger& ledger = world.reactor().ledger();
    for (const int peer : peers) send_raw(peer, message);
    while (ledger.bytes_sent < connections * message.size()) world.reactor().turn();
    // Buffers are used in turn, so that many bytes come through all of them.
    std::unordered_set<const std::byte*> places;
    const auto [here, there] = world.pair();
    for (int i = 0; i < 1024; ++i) {
        send_raw(there, message);
        for (std::size_t received = 0; received < message.size();) {
            Call receive(Operation::Kind::receive, here);
            world.start(receive);
            world.end(receive);
            REQUIRE(receive.result > 0);
            received += receive.text.size();
            places.insert(receive.bytes.data());
        }
    }
    CHECK(places.size() * message.size() <= 8 * 1024 * 1024);
    for (const int peer : peers) REQUIRE(::shutdown(peer, SHUT_WR) == 0);
    for (const auto& echo : echoes)
        world.run_until([&] { return echo->receive.over && echo->receive.result == 0; });
}
