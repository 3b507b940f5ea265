// In a simulated network, whose clock is virtual: a minute's patience is over as soon as nothing else is left
// to do.
#include "server/http_service.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <string_view>

#include "coro/listener.hpp"
#include "coro/run.hpp"
#include "coro/sleep.hpp"
#include "reactor/simulated.hpp"
#include "server/chat/opening.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

constexpr std::uint16_t port = 7000;

struct EchoSite final : HttpSite {
    HttpAnswer answer(const wire::HttpRequestParser& request) override {
        return {.body = std::string(request.target()) + std::string(request.body())};
    }
};

/// Serves one connection, and hears what a client gets for what it sends.
class Meeting {
  public:
    explicit Meeting(const StreamLimits& limits = {}) : limits_(limits) {}

    using Server = std::function<task<void>(Stream&)>;
    using Client = std::function<task<void>(Stream&)>;

    /// On the virtual clock.
    Duration served_for() const { return served_for_; }

    /// Everything that the client was sent.
    std::string hold(const Server& server, const Client& client) {
        SimulatedNetwork network;
        Reactor reactor({.waiting = Waiting::simulated, .network = &network});
        const int listening = network.listen(port, true);
        run(reactor, both(listening, network.socket(), server, client));
        return heard_;
    }

  private:
    task<void> both(int listening, int fd, const Server& server, const Client& client) {
        scope halves;
        halves.spawn(serve(listening, server), "server");
        const auto connected = co_await connect(fd, SimulatedNetwork::endpoint(port));
        REQUIRE(connected.has_value());
        Stream stream(*Reactor::current(), fd);
        halves.spawn(hear(stream), "ears");
        co_await client(stream);
        co_await halves.join();
        co_await stream.close();
    }
    task<void> serve(int listening, const Server& server) {
        const auto fd = co_await accept(listening);
        REQUIRE(fd.has_value());
        Stream stream(*Reactor::current(), *fd, limits_);
        const Instant begun = stream.reactor().now();
        co_await server(stream);
        served_for_ = stream.reactor().now() - begun;
        co_await stream.flush();
        co_await stream.close();
        co_await close_descriptor(listening);
    }
    task<void> hear(Stream& stream) {
        while (true) {
            const Received bytes = co_await stream.receive();
            if (!bytes || bytes->empty()) co_return;
            heard_ += as_text(*bytes);
        }
    }

    const StreamLimits limits_;
    std::string heard_;
    Duration served_for_{};
};

task<void> serve_echo(Stream& stream) {
    EchoSite site;
    const auto switched = co_await serve_http(stream, site, {});
    CHECK_FALSE(switched.has_value());
}

constexpr std::string_view request = "POST /path HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nhello";

task<void> send_all(Stream& stream) { co_await stream.send(request); }

// A byte every three seconds.
task<void> trickle(Stream& stream) {
    for (const char byte : request) {
        const Sent sent = co_await stream.send(std::string_view(&byte, 1));
        if (!sent) co_return;
        co_await sleep(3s);
    }
}

task<void> begin_and_wait(Stream& stream) { co_await stream.send(request.substr(0, request.size() - 1)); }

task<void> say_nothing(Stream& /*stream*/) { co_return; }

Duration opening_took;

task<void> hear_how_it_opens(Stream& stream) {
    const Instant begun = stream.reactor().now();
    const chat::Opening opening = co_await chat::hear_opening(stream, {});
    opening_took = stream.reactor().now() - begun;
    co_await stream.send((opening.speaks == chat::Speaks::http ? "http:" : "line:") + opening.heard);
}

task<void> send_torn_method(Stream& stream) {
    co_await stream.send("GE");
    co_await sleep(1s);
    co_await stream.send("T / HTTP/1.1\r\n");
}

task<void> send_half_a_method(Stream& stream) { co_await stream.send("GE"); }

}  // namespace

TEST_CASE(
    "a request is answered, and a connection that asks for no more is closed after a while, without a word") {
    const std::string heard = Meeting().hold(serve_echo, send_all);
    CHECK(heard.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(heard.ends_with("\r\n\r\n/pathhello"));
}

TEST_CASE("a connection on which nothing is asked is closed without a word") {
    Meeting usual;
    CHECK(usual.hold(serve_echo, say_nothing).empty());
    CHECK(usual.served_for() >= 1min);
    Meeting hurried({.first_byte = 5s, .idle = 5s});
    CHECK(hurried.hold(serve_echo, say_nothing).empty());
    CHECK(hurried.served_for() < 6s);
}

TEST_CASE("a request that does not come to its end is given up, whether it stops or trickles") {
    for (const auto& client : {begin_and_wait, trickle}) {
        const std::string heard = Meeting().hold(serve_echo, client);
        CHECK(heard.starts_with("HTTP/1.1 408 Request Timeout\r\n"));
        CHECK(heard.find("Connection: close\r\n") != std::string::npos);
    }
}

TEST_CASE("who says nothing for a fifth of a second is a person") {
    CHECK(Meeting().hold(hear_how_it_opens, say_nothing) == "line:");
    CHECK(opening_took >= 200ms);
    CHECK(opening_took < 250ms);
}

TEST_CASE("half a method is waited for until it is a whole one, or until it takes too long") {
    CHECK(Meeting().hold(hear_how_it_opens, send_torn_method) == "http:GET / HTTP/1.1\r\n");
    CHECK(Meeting().hold(hear_how_it_opens, send_half_a_method) == "line:GE");
}
