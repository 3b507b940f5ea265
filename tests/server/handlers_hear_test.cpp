// What a handler's receives and sends return: the same under every strategy, whatever the peer does. The
// system tests compare what peers see.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <mutex>
#include <semaphore>
#include <string>
#include <string_view>
#include <vector>

#include "pools/fd.hpp"
#include "reactor/endpoint.hpp"
#include "server/application.hpp"
#include "server/server.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

using Lines = std::vector<std::string>;

// More than any two sockets hold.
const std::string& flood() {
    static const std::string bytes(64UL * 1024 * 1024, 'f');
    return bytes;
}

/// Echoes, and sends far too much when it is told to; notes what each call returned.
class Witness final : public Application {
  public:
    std::unique_ptr<Worker> make_worker(Reactor& /*reactor*/) override {
        return std::make_unique<Part>(*this);
    }

    /// After the join of the server.
    const Lines& lines() const { return lines_; }
    std::binary_semaphore over{0};  ///< the handler has ended

  private:
    class Part final : public Worker {
      public:
        explicit Part(Witness& whole) : whole_(whole) {}
        task<void> serve(Stream& stream) override {
            while (true) {
                const Received bytes = co_await stream.receive();
                whole_.note("receive", bytes ? std::to_string(bytes->size()) : bytes.error().message());
                if (!bytes || bytes->empty()) break;
                const bool floods = as_text(*bytes) == "flood";
                const Sent sent = co_await stream.send(floods ? Bytes(as_bytes(flood())) : Bytes(*bytes));
                whole_.note("send", sent ? "all" : sent.error().message());
                if (!sent) break;
            }
            whole_.over.release();
        }

      private:
        Witness& whole_;
    };

    void note(const std::string& call, const std::string& outcome) {
        const std::lock_guard lock(mutex_);
        lines_.push_back(call + ": " + outcome);
    }

    std::mutex mutex_;
    Lines lines_;
};

std::string joined(const Lines& lines) {
    std::string text;
    for (const std::string& line : lines) text += line + "\n";
    return text;
}

void say(const Fd& client, std::string_view word) {
    REQUIRE(::send(client.get(), word.data(), word.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(word.size()));
}

void hear(const Fd& client, std::size_t size) {
    std::array<char, 64> buffer{};
    REQUIRE(::recv(client.get(), buffer.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size));
}

void reset(Fd& client) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    REQUIRE(::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) == 0);
    client = Fd();
}

/// A handler hears `expected` from a peer who does `script`, and then lets the connection end or has it
/// drained.
void check_every_strategy(const ServerLimits& limits, const std::function<void(Fd&)>& script,
                          const Lines& expected, bool drains = false) {
    for (const char* const name :
         {"sequential", "thread", "threadpool", "busy", "select", "poll", "epoll", "uring", "percore"}) {
        CAPTURE(std::string(name));
        const auto strategy = make_strategy({.name = name}, 2);
        REQUIRE(strategy);
        Witness witness;
        Server server({.listen = {"127.0.0.1:0"}, .strategy = *strategy, .limits = limits}, witness);
        server.start();
        const Endpoint& address = server.addresses().front();
        Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(::connect(client.get(), address.address(), address.size()) == 0);
        script(client);
        if (drains) server.drain();
        witness.over.acquire();
        client = Fd();
        server.drain();
        server.join();
        const std::string heard = joined(witness.lines());
        CHECK(heard == joined(expected));
    }
}

std::string message(std::errc error) { return std::make_error_code(error).message(); }

}  // namespace

TEST_CASE("a handler hears of a half-close as the end, and can still send") {
    const auto script = [](Fd& client) {
        say(client, "hello");
        REQUIRE(::shutdown(client.get(), SHUT_WR) == 0);
        hear(client, 5);
    };
    check_every_strategy({}, script, {"receive: 5", "send: all", "receive: 0"});
}

TEST_CASE("a handler that receives hears of a reset") {
    const auto script = [](Fd& client) {
        say(client, "hello");
        hear(client, 5);
        reset(client);
    };
    check_every_strategy({}, script,
                         {"receive: 5", "send: all", "receive: " + message(std::errc::connection_reset)});
}

TEST_CASE("a handler that sends hears of a reset") {
    const auto script = [](Fd& client) {
        say(client, "flood");
        hear(client, 5);
        reset(client);
    };
    check_every_strategy({}, script, {"receive: 5", "send: " + message(std::errc::connection_reset)});
}

TEST_CASE("a handler hears that a peer says nothing at all, or nothing more") {
    const std::string late = message(std::errc::timed_out);
    check_every_strategy({.first_byte = 100ms}, [](Fd&) {}, {"receive: " + late});
    const auto script = [](Fd& client) { say(client, "hello"); };
    check_every_strategy({.idle = 100ms}, script, {"receive: 5", "send: all", "receive: " + late});
}

TEST_CASE("a handler hears that a peer takes nothing") {
    const auto script = [](Fd& client) { say(client, "flood"); };
    check_every_strategy({.send = 100ms}, script, {"receive: 5", "send: " + message(std::errc::timed_out)});
}

TEST_CASE("a handler that is drained hears that its receive is cancelled") {
    const auto script = [](Fd& client) {
        say(client, "hello");
        hear(client, 5);
    };
    const std::string canceled = message(std::errc::operation_canceled);
    constexpr bool drains = true;
    check_every_strategy({}, script, {"receive: 5", "send: all", "receive: " + canceled}, drains);
}
