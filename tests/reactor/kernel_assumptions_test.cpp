// What the mechanisms take for granted of the kernel. When one of these fails on some kernel, the mechanism
// that leans on it is wrong there, however well its own tests do.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <ctime>
#include <memory>
#include <string>
#include <thread>

#include "pools/fd.hpp"
#include "reactor/endpoint.hpp"
#include "tests/reactor/kernel_sockets.hpp"

using namespace confab;
using namespace confab::testing;

namespace {

struct Connection {
    explicit Connection(Family family) : sockets(make_kernel_sockets(family)) {
        const auto [one, other] = sockets->pair();
        here = Fd(one);
        there = Fd(other);
    }
    std::unique_ptr<Sockets> sockets;
    Fd here;
    Fd there;
};

constexpr std::array families{Family::tcp4, Family::unix_path};
constexpr unsigned everything = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET;

// An epoll set of one descriptor, registered edge-triggered for everything.
class EdgeTriggered {
  public:
    explicit EdgeTriggered(const Fd& fd, unsigned events = everything)
        : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
        epoll_event event{.events = events, .data = {.fd = fd.get()}};
        REQUIRE(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) == 0);
    }
    // What it tells now; 0: nothing.
    unsigned news() const {
        epoll_event event{};
        const int count = ::epoll_wait(epoll_.get(), &event, 1, 0);
        REQUIRE(count >= 0);
        return count == 0 ? 0 : event.events;
    }

  private:
    Fd epoll_;
};

// Sends until nothing fits; how much did.
std::size_t fill(const Fd& fd) {
    const std::string text(100'000, 'x');
    std::size_t sent = 0;
    while (true) {
        const ssize_t count = ::send(fd.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count < 0) break;
        sent += static_cast<std::size_t>(count);
        if (static_cast<std::size_t>(count) < text.size()) return sent;  // so the last call was a short one
    }
    REQUIRE(errno == EAGAIN);
    return sent;
}

std::size_t drain(const Fd& fd) {
    std::string buffer(100'000, '\0');
    std::size_t received = 0;
    ssize_t count = 0;
    while ((count = ::recv(fd.get(), buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0) {
        received += static_cast<std::size_t>(count);
    }
    return received;
}

std::size_t receive(const Fd& fd, std::size_t size) {
    std::string buffer(size, '\0');
    const ssize_t count = ::recv(fd.get(), buffer.data(), size, MSG_DONTWAIT);
    REQUIRE(count >= 0);
    return static_cast<std::size_t>(count);
}

void send(const Fd& fd, const char* text) {
    const std::string all = text;
    REQUIRE(::send(fd.get(), all.data(), all.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(all.size()));
}

}  // namespace

TEST_CASE("epoll tells of what is there already when a descriptor is added") {
    for (const Family family : families) {
        const Connection connection(family);
        send(connection.there, "x");
        const EdgeTriggered epoll(connection.here);
        CHECK((epoll.news() & (EPOLLIN | EPOLLOUT)) == (EPOLLIN | EPOLLOUT));
        CHECK(epoll.news() == 0);
    }
}

TEST_CASE("after a short send, EPOLLOUT comes once the peer has read") {
    for (const Family family : families) {
        const Connection connection(family);
        const EdgeTriggered epoll(connection.here);
        CHECK((epoll.news() & EPOLLOUT) != 0);
        for (int i = 0; i < 3; ++i) {
            const std::size_t sent = fill(connection.here);
            while (epoll.news() != 0) {  // buffers grow while they fill
            }
            std::size_t received = 0;
            while (received < sent) received += drain(connection.there);
            pollfd writable{.fd = connection.here.get(), .events = POLLOUT, .revents = 0};
            REQUIRE(::poll(&writable, 1, -1) == 1);
            CHECK((epoll.news() & EPOLLOUT) != 0);
        }
    }
}

TEST_CASE("bytes that come are news, though earlier ones are unread") {
    for (const Family family : families) {
        const Connection connection(family);
        const EdgeTriggered epoll(connection.here);
        while (epoll.news() != 0) {
        }
        for (int i = 0; i < 3; ++i) {
            send(connection.there, "x");
            CHECK((epoll.news() & EPOLLIN) != 0);
            CHECK(epoll.news() == 0);
        }
    }
}

TEST_CASE("a short read means drained, and what comes after it is news: bytes or the end") {
    for (const Family family : families) {
        const Connection connection(family);
        const EdgeTriggered epoll(connection.here);
        while (epoll.news() != 0) {
        }
        send(connection.there, "12345");
        CHECK((epoll.news() & EPOLLIN) != 0);
        CHECK(receive(connection.here, 10) == 5);
        CHECK(epoll.news() == 0);
        send(connection.there, "12345");
        CHECK((epoll.news() & EPOLLIN) != 0);
        CHECK(receive(connection.here, 10) == 5);
        REQUIRE(::shutdown(connection.there.get(), SHUT_WR) == 0);
        CHECK((epoll.news() & (EPOLLIN | EPOLLRDHUP)) == (EPOLLIN | EPOLLRDHUP));
        CHECK(receive(connection.here, 10) == 0);
    }
}

TEST_CASE("the end that came with the bytes is told with them, by EPOLLRDHUP") {
    for (const Family family : families) {
        const Connection connection(family);
        const EdgeTriggered epoll(connection.here);
        while (epoll.news() != 0) {
        }
        send(connection.there, "12345");
        REQUIRE(::shutdown(connection.there.get(), SHUT_WR) == 0);
        CHECK((epoll.news() & EPOLLRDHUP) != 0);
        CHECK(receive(connection.here, 10) == 5);
        CHECK(receive(connection.here, 10) == 0);
    }
}

TEST_CASE("an edge-triggered eventfd tells of each write, though nobody reads") {
    const Fd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    const EdgeTriggered epoll(event, EPOLLIN | EPOLLET);
    CHECK(epoll.news() == 0);
    for (int i = 0; i < 3; ++i) {
        REQUIRE(::eventfd_write(event.get(), 1) == 0);
        CHECK((epoll.news() & EPOLLIN) != 0);
        CHECK(epoll.news() == 0);
    }
}

TEST_CASE("closing a socket takes it out of the epoll set") {
    Connection connection(Family::tcp4);
    const EdgeTriggered epoll(connection.here);
    while (epoll.news() != 0) {
    }
    send(connection.there, "x");
    connection.here = Fd();
    CHECK(epoll.news() == 0);
}

TEST_CASE("MSG_DONTWAIT does not wait on a socket that blocks") {
    for (const Family family : families) {
        const Connection connection(family);
        REQUIRE(::fcntl(connection.here.get(), F_SETFL, 0) == 0);
        char byte = 0;
        CHECK(::recv(connection.here.get(), &byte, 1, MSG_DONTWAIT) == -1);
        CHECK(errno == EAGAIN);
        CHECK(fill(connection.here) > 0);
    }
}

TEST_CASE("an accepted socket blocks although its listener does not, and has its TCP_NODELAY") {
    const auto sockets = make_kernel_sockets(Family::tcp4);
    const Fd listener(sockets->listener());
    const Endpoint there = sockets->endpoint(listener.get());
    const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(client);
    REQUIRE(::connect(client.get(), there.address(), there.size()) == 0);
    const Fd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(server);
    CHECK((::fcntl(server.get(), F_GETFL) & O_NONBLOCK) == 0);
    int no_delay = 0;
    socklen_t size = sizeof no_delay;
    REQUIRE(::getsockopt(server.get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size) == 0);
    CHECK(no_delay != 0);
}

TEST_CASE("a call that blocks comes back with EAGAIN when SO_RCVTIMEO or SO_SNDTIMEO has passed") {
    for (const Family family : families) {
        const Connection connection(family);
        REQUIRE(::fcntl(connection.here.get(), F_SETFL, 0) == 0);
        const timeval limit{.tv_sec = 0, .tv_usec = 10'000};
        REQUIRE(::setsockopt(connection.here.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
        REQUIRE(::setsockopt(connection.here.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0);
        // The kernel still takes down rings of tests before this one, and interrupts the thread for that.
        char byte = 0;
        ssize_t received = 0;
        do {
            received = ::recv(connection.here.get(), &byte, 1, 0);
        } while (received < 0 && errno == EINTR);
        CHECK(received == -1);
        CHECK(errno == EAGAIN);
        fill(connection.here);
        const std::string text(100'000, 'x');
        ssize_t sent = 0;
        do {
            sent = ::send(connection.here.get(), text.data(), text.size(), MSG_NOSIGNAL);
        } while (sent > 0 || (sent < 0 && errno == EINTR));
        CHECK(errno == EAGAIN);
    }
}

// Also with a time limit, where signal(7) speaks of EINTR although SA_RESTART was given; here it is not.
TEST_CASE("a timer's signal to one thread ends its call that blocks with EINTR") {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    REQUIRE(::sigaction(SIGURG, &action, nullptr) == 0);
    for (const long seconds : {0L, 100L}) {
        const Connection connection(Family::tcp4);
        REQUIRE(::fcntl(connection.here.get(), F_SETFL, 0) == 0);
        const timeval limit{.tv_sec = seconds, .tv_usec = 0};
        REQUIRE(::setsockopt(connection.here.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
        sigevent event{};
        event.sigev_notify = SIGEV_THREAD_ID;
        event.sigev_signo = SIGURG;
        event._sigev_un._tid = ::gettid();
        timer_t timer{};
        REQUIRE(::timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
        const itimerspec each{.it_interval = {.tv_sec = 0, .tv_nsec = 1'000'000},
                              .it_value = {.tv_sec = 0, .tv_nsec = 1}};
        REQUIRE(::timer_settime(timer, 0, &each, nullptr) == 0);
        char byte = 0;
        const ssize_t result = ::recv(connection.here.get(), &byte, 1, 0);
        const int error = errno;
        CHECK(::timer_delete(timer) == 0);
        CHECK(result == -1);
        CHECK(error == EINTR);
    }
}

TEST_CASE("connect called again says EALREADY while it is under way, and the error of one that failed") {
    const auto sockets = make_kernel_sockets(Family::tcp4);
    const Endpoint silence = sockets->silence();
    const Fd waiting(sockets->socket());
    CHECK(::connect(waiting.get(), silence.address(), silence.size()) == -1);
    CHECK(errno == EINPROGRESS);
    CHECK(::connect(waiting.get(), silence.address(), silence.size()) == -1);
    CHECK(errno == EALREADY);

    const Endpoint nowhere = sockets->nowhere();
    const Fd refused(sockets->socket());
    CHECK(::connect(refused.get(), nowhere.address(), nowhere.size()) == -1);
    if (errno == EINPROGRESS) {
        pollfd over{.fd = refused.get(), .events = POLLOUT, .revents = 0};
        REQUIRE(::poll(&over, 1, -1) == 1);
        CHECK(::connect(refused.get(), nowhere.address(), nowhere.size()) == -1);
    }
    CHECK(errno == ECONNREFUSED);

    const Fd listener(sockets->listener());
    const Endpoint there = sockets->endpoint(listener.get());
    const Fd connected(sockets->socket());
    if (::connect(connected.get(), there.address(), there.size()) < 0) {
        CHECK(errno == EINPROGRESS);
        pollfd over{.fd = connected.get(), .events = POLLOUT, .revents = 0};
        REQUIRE(::poll(&over, 1, -1) == 1);
        CHECK(::connect(connected.get(), there.address(), there.size()) == 0);
    }
}

TEST_CASE("poll says POLLNVAL of what is no descriptor and skips negative numbers; select says EBADF") {
    const Fd event(::eventfd(0, EFD_CLOEXEC));
    const int closed = ::dup(event.get());
    REQUIRE(::close(closed) == 0);
    std::array<pollfd, 2> asked{
        {{.fd = -1, .events = POLLIN, .revents = 0}, {.fd = closed, .events = POLLIN, .revents = 0}}};
    CHECK(::poll(asked.data(), asked.size(), 0) == 1);
    CHECK(asked[0].revents == 0);
    CHECK(asked[1].revents == POLLNVAL);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(closed, &set);
    timeval none{};
    CHECK(::select(closed + 1, &set, nullptr, nullptr, &none) == -1);
    CHECK(errno == EBADF);
}

TEST_CASE("a duplicate has the lowest free number, as the next accepted connection would") {
    const Fd event(::eventfd(0, EFD_CLOEXEC));
    Fd low(::fcntl(event.get(), F_DUPFD_CLOEXEC, 0));
    const Fd high(::fcntl(event.get(), F_DUPFD_CLOEXEC, 0));
    const int number = low.get();
    low = Fd();
    const Fd again(::fcntl(event.get(), F_DUPFD_CLOEXEC, 0));
    CHECK(again.get() == number);
    CHECK(high.get() > number);
}
