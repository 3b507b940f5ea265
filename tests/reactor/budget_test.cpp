// What a message may cost: system calls and allocations, from the ledger. Never time.
//
// Clients and server take turns on one thread - all clients send, then the reactor runs until all is echoed -
// so the figures are the same in every run. Linked with reactor/count_allocations.cpp.
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "pools/fd.hpp"
#include "reactor/reactor.hpp"

using namespace confab;

namespace {

// A connection that sends back what it receives.
class Echo {
  public:
    Echo(Reactor& reactor, int fd, std::size_t& outstanding)
        : reactor_(reactor), outstanding_(outstanding), receive_(*this, fd), send_(*this, fd) {
        receive();
    }
    Echo(const Echo&) = delete;
    Echo& operator=(const Echo&) = delete;

    int fd() const { return receive_.fd; }
    int error() const { return error_; }
    void set_limit(Duration limit) { limit_ = limit; }

  private:
    struct Part : Operation {
        Part(Echo& whose, Kind what, int descriptor, Completion then)
            : Operation(what, descriptor, then), echo(whose) {}
        Echo& echo;
    };
    struct Receive : Part {
        Receive(Echo& whose, int descriptor) : Part(whose, Kind::receive, descriptor, &done) {}
        static void done(Operation& self) noexcept { static_cast<Receive&>(self).echo.received(); }
    };
    struct Send : Part {
        Send(Echo& whose, int descriptor) : Part(whose, Kind::send, descriptor, &done) {}
        static void done(Operation& self) noexcept { static_cast<Send&>(self).echo.sent(); }
    };

    void receive() {
        receive_.deadline = limit_ == Duration::zero() ? never : after(reactor_.now(), limit_);
        if (reactor_.submit(receive_)) error_ = receive_.result;
    }
    void received() {
        if (receive_.result <= 0) {
            error_ = receive_.result;
            return;
        }
        part_size_ = receive_.bytes.size();
        part_ = {const_cast<std::byte*>(receive_.bytes.data()), receive_.bytes.size()};
        send_.parts = {.data = &part_, .count = 1, .done = 0};
        if (reactor_.submit(send_)) sent();
    }
    void sent() {
        if (send_.result < 0) error_ = send_.result;
        outstanding_ -= part_size_;  // a message may come in two pieces
        receive();
        if (outstanding_ == 0) reactor_.stop();
    }

    Reactor& reactor_;
    std::size_t& outstanding_;
    Receive receive_;
    Send send_;
    iovec part_{};
    std::size_t part_size_ = 0;
    int error_ = 0;
    Duration limit_{};
};

struct Cost {
    double system_calls;
    double allocations;
};

// A message of each of `connections` over and over; what one costs on the average.
Cost echo(const ReactorOptions& options, std::size_t connections, std::size_t size,
          Duration limit = Duration::zero()) {
    constexpr int warm = 50;
    constexpr int rounds = 200;
    Reactor reactor(options);
    std::size_t outstanding = 0;
    std::vector<Fd> clients;
    std::vector<std::unique_ptr<Echo>> echoes;
    for (std::size_t i = 0; i < connections; ++i) {
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) == 0);
        clients.emplace_back(ends[0]);
        echoes.push_back(std::make_unique<Echo>(reactor, ends[1], outstanding));
        echoes.back()->set_limit(limit);
    }
    const std::string text(size, 'x');
    std::string answer(size, '\0');
    Ledger before;
    int wrong = 0;
    for (int round = 0; round < warm + rounds; ++round) {
        if (round == warm) before = reactor.ledger();
        for (const Fd& client : clients) {
            wrong += ::send(client.get(), text.data(), size, MSG_NOSIGNAL) != static_cast<ssize_t>(size);
        }
        outstanding = connections * size;
        while (outstanding > 0) reactor.run();  // NOLINT(bugprone-infinite-loop): the echoes count it down
        for (const Fd& client : clients) {
            wrong +=
                ::recv(client.get(), answer.data(), size, 0) != static_cast<ssize_t>(size) || answer != text;
        }
    }
    const Ledger after = reactor.ledger();
    CHECK(wrong == 0);
    struct Close : Operation {
        explicit Close(int fd)
            : Operation(Kind::close, fd, [](Operation& self) noexcept {
                  static_cast<Close&>(self).over = true;
                  Reactor::current()->stop();
              }) {}
        bool over = false;
    };
    for (const auto& each : echoes) {
        CHECK(each->error() == 0);
        Close close(each->fd());
        close.over = reactor.submit(close);
        while (!close.over) reactor.run();
    }
    const double messages = static_cast<double>(connections) * rounds;
    CHECK(after.bytes_received - before.bytes_received == connections * rounds * size);
    return {static_cast<double>(after.all_system_calls() - before.all_system_calls()) / messages,
            static_cast<double>(after.allocations - before.allocations) / messages};
}

ReactorOptions under(Waiting waiting) {
    ReactorOptions options;
    options.waiting = waiting;
    return options;
}

// Prints what it found, so that a run tells more than "not too much".
void check_budget(const ReactorOptions& options, std::size_t connections, double system_calls) {
    if (Reactor(options).waiting() != options.waiting) {
        MESSAGE("NOT TESTED: " << std::string(name(options.waiting)));
        return;
    }
    const Cost cost = echo(options, connections, 64);
    std::printf("%-9s %3zu connections: %.3f system calls, %.3f allocations a message\n",
                std::string(name(options.waiting)).c_str(), connections, cost.system_calls, cost.allocations);
    CHECK(cost.system_calls <= system_calls);
    CHECK(cost.allocations == 0);
}

}  // namespace

TEST_CASE("allocations are counted in this program") {
    Reactor reactor(under(Waiting::epoll));
    struct Allocating : Job {
        Allocating()
            : Job([](Job& self) noexcept {
                  static_cast<Allocating&>(self).number = std::make_unique<int>(1);
                  Reactor::current()->stop();
              }) {}
        std::unique_ptr<int> number;
    } job;
    const std::uint64_t before = reactor.ledger().allocations;
    reactor.ready(job);
    reactor.run();
    CHECK(reactor.ledger().allocations > before);
}

TEST_CASE("blocking: one connection costs exactly its receive and its send") {
    const Cost cost = echo(under(Waiting::blocking), 1, 64);
    CHECK(cost.system_calls == 2);
    CHECK(cost.allocations == 0);
}

TEST_CASE("blocking: a time limit on each receive costs nothing more") {
    const Cost cost = echo(under(Waiting::blocking), 1, 64, std::chrono::seconds(300));
    CHECK(cost.system_calls == 2);
    CHECK(cost.allocations == 0);
}

TEST_CASE("blocking: 50 connections share their polls") { check_budget(under(Waiting::blocking), 50, 2.05); }

// Each round tries what is parked: all 50 have something to say here.
TEST_CASE("busy: what has something to say costs its receive and its send") {
    check_budget(under(Waiting::busy), 50, 2.05);
}

TEST_CASE("select: 50 connections share their selects") { check_budget(under(Waiting::select), 50, 2.05); }

TEST_CASE("poll: 50 connections share their polls") { check_budget(under(Waiting::poll), 50, 2.05); }

TEST_CASE("epoll: 50 connections share their waits") { check_budget(under(Waiting::epoll), 50, 2.05); }

TEST_CASE("select, poll, epoll: one connection costs a wait, a receive and a send") {
    for (const Waiting waiting : {Waiting::select, Waiting::poll, Waiting::epoll}) {
        check_budget(under(waiting), 1, 3);
    }
}

TEST_CASE("uring: 50 connections cost a quarter of a call a message at most") {
    check_budget(under(Waiting::uring), 50, 0.25);
}

TEST_CASE("uring: one connection costs an enter for its receive and one for its send at most") {
    check_budget(under(Waiting::uring), 1, 2);
}

TEST_CASE("a time limit that does not pass costs no system call and no allocation") {
    for (const Waiting waiting : {Waiting::select, Waiting::poll, Waiting::epoll, Waiting::uring}) {
        const Cost without = echo(under(waiting), 50, 64);
        const Cost with = echo(under(waiting), 50, 64, std::chrono::seconds(300));
        CAPTURE(std::string(name(waiting)));
        CHECK(with.system_calls == without.system_calls);
        CHECK(with.allocations == 0);
    }
}
