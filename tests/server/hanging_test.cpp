// Handlers that never let go, under a supervisor.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "pools/fd.hpp"
#include "reactor/endpoint.hpp"
#include "server/run_server.hpp"
#include "tests/support/child.hpp"

using namespace confab;

namespace {

task<void> spin(Stream& stream) {
    const Received bytes = co_await stream.receive();
    if (!bytes || bytes->empty()) co_return;
    // Nobody else has its turn from here on. Time goes by, or a compiler might take the loop for nothing.
    while (std::chrono::steady_clock::now().time_since_epoch().count() != 0) {
    }
}

// A server of `spin` under `strategy` in a process of its own, heard until it has said something.
class SpinningServer {
  public:
    explicit SpinningServer(const StrategyRequest& request) {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        said_ = Fd(ends[0]);
        const Fd childs_end(ends[1]);
        child_.emplace([&] {
            for (const int stream : {STDOUT_FILENO, STDERR_FILENO}) ::dup2(childs_end.get(), stream);
            run_server({.server = {.listen = {"127.0.0.1:0"}, .strategy = *make_strategy(request, 2)},
                        .worker_limit = std::chrono::milliseconds(400)},
                       [](std::uint32_t) { return make_application(&spin); });
            return 0;
        });
        const std::string line = wait_for("listening on ");
        const std::size_t begin = line.find("listening on ") + 13;
        address_ = line.substr(begin, line.find(' ', begin) - begin);
    }

    const std::string& address() const { return address_; }
    int stop() {
        child_->send(SIGTERM);
        return child_->join();
    }

    // The first line from here on that holds `piece`. The test's own time limit is its way out.
    std::string wait_for(const std::string& piece) {
        while (true) {
            const std::string next = line();
            if (next.contains(piece)) return next;
        }
    }

  private:
    std::string line() {
        while (!heard_.contains('\n')) {
            std::array<char, 512> chunk{};
            const ssize_t count = ::read(said_.get(), chunk.data(), chunk.size());
            REQUIRE(count > 0);
            heard_.append(chunk.data(), static_cast<std::size_t>(count));
        }
        const std::size_t end = heard_.find('\n');
        std::string first = heard_.substr(0, end);
        heard_.erase(0, end + 1);
        return first;
    }

    Fd said_;
    std::optional<Child> child_;
    std::string heard_;
    std::string address_;
};

void spinning_process_is_killed(const StrategyRequest& request, const std::string& why) {
    SpinningServer server(request);
    const auto address = Endpoint::resolve(server.address());
    REQUIRE(address);
    const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(client.get(), address->front().address(), address->front().size()) == 0);
    REQUIRE(::send(client.get(), "spin", 4, MSG_NOSIGNAL) == 4);
    CHECK(server.wait_for("it is killed").contains(why));
    char byte = 0;
    CHECK(::recv(client.get(), &byte, 1, 0) <= 0);  // its end, and the test's that it comes
    CHECK(server.stop() == 0);
}

}  // namespace

TEST_CASE("a worker whose handler never waits is killed and replaced, and the reason names the task") {
    for (const char* const strategy : {"prefork", "processpool", "hybrid"}) {
        CAPTURE(strategy);
        spinning_process_is_killed({.name = strategy, .processes = "2"}, "by the task 'connection'");
    }
}

TEST_CASE("a process of one connection whose handler never waits is killed") {
    spinning_process_is_killed({.name = "fork"}, "hangs (--worker-timeout)");
}
