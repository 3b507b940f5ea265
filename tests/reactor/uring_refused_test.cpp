// Where the kernel refuses io_uring the reactor waits with epoll, and says why.
#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "pools/fd.hpp"
#include "reactor/reactor.hpp"
#include "tests/support/refuse_system_call.hpp"

using namespace confab;

namespace {

// What a reactor says of itself where io_uring_setup fails with `error`; made in a child, which it ends with.
std::string said_where_refused(int error) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const Fd from(ends[0]);
    Fd into(ends[1]);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::string said = "no filter";
        if (refuse_system_call(__NR_io_uring_setup, error)) {
            ReactorOptions options;
            options.waiting = Waiting::uring;
            const Reactor reactor(options);
            said = std::string(name(reactor.waiting())) + ", " + reactor.description() + ": " +
                   reactor.warning();
        }
        const bool written =
            ::write(into.get(), said.data(), said.size()) == static_cast<ssize_t>(said.size());
        ::_exit(written ? 0 : 1);
    }
    into = Fd();
    std::string said;
    std::array<char, 512> piece{};
    while (true) {
        const ssize_t size = ::read(from.get(), piece.data(), piece.size());
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) break;
        said.append(piece.data(), static_cast<std::size_t>(size));
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) REQUIRE(errno == EINTR);
    CHECK(status == 0);
    return said;
}

}  // namespace

TEST_CASE("a reactor that may not have io_uring waits with epoll and names the policy") {
    CHECK(said_where_refused(EPERM) ==
          "epoll, epoll: io_uring cannot be used, epoll is: a seccomp filter or another security policy "
          "forbids "
          "it, as containers' do by default (EPERM)");
}

TEST_CASE("a reactor on a kernel without io_uring waits with epoll and says so") {
    CHECK(
        said_where_refused(ENOSYS) ==
        "epoll, epoll: io_uring cannot be used, epoll is: this kernel has none, or a seccomp filter hides it "
        "(ENOSYS)");
}

TEST_CASE("a reactor without memory for io_uring waits with epoll and names the limits") {
    CHECK(
        said_where_refused(ENOMEM) ==
        "epoll, epoll: io_uring cannot be used, epoll is: no memory for its queues: ulimit -l or the memory "
        "limit is too low (ENOMEM)");
}

TEST_CASE("a reactor on an old io_uring waits with epoll and says what is needed") {
    CHECK(said_where_refused(EINVAL) ==
          "epoll, epoll: io_uring cannot be used, epoll is: this kernel is older than 5.13");
}
