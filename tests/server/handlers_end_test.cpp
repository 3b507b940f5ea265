#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>

#include "pools/fd.hpp"
#include "reactor/endpoint.hpp"
#include "server/application.hpp"
#include "server/server.hpp"

using namespace confab;

namespace {

// Answers the first bytes, and ends: well, or not.
task<void> answer_and_end(Stream& stream) {
    const Received bytes = co_await stream.receive();
    const bool throws = bytes && as_text(*bytes) == "throw";
    static_cast<void>(co_await stream.send("ended"));
    if (throws) throw std::runtime_error("as it was told");
}

// What comes until the end; nothing: there was no end, but an error.
std::string all_of(int socket) {
    std::string text;
    std::array<char, 64> piece{};
    while (true) {
        const ssize_t size = ::recv(socket, piece.data(), piece.size(), 0);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return {};
        if (size == 0) return text;
        text.append(piece.data(), static_cast<std::size_t>(size));
    }
}

}  // namespace

TEST_CASE("parity 120: a connection is closed when its handler returns or throws, and others are served") {
    for (const char* const name : {"sequential", "thread", "threadpool", "epoll", "uring", "percore"}) {
        CAPTURE(name);
        const auto strategy = make_strategy({.name = name}, 2);
        REQUIRE(strategy);
        const auto application = make_application(answer_and_end);
        Server server({.listen = {"127.0.0.1:0"}, .strategy = *strategy}, *application);
        server.start();
        const Endpoint& address = server.addresses().front();
        for (const std::string_view word : {"throw", "return", "throw", "return"}) {
            const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
            REQUIRE(::connect(client.get(), address.address(), address.size()) == 0);
            REQUIRE(::send(client.get(), word.data(), word.size(), MSG_NOSIGNAL) ==
                    static_cast<ssize_t>(word.size()));
            CHECK(all_of(client.get()) == "ended");
        }
        server.drain();
        server.join();
    }
}
