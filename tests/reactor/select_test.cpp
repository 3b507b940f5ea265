// What is select's own: its sets end at FD_SETSIZE.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>

#include <array>
#include <system_error>
#include <vector>

#include "reactor/reactor.hpp"
#include "tests/reactor/every_mechanism.hpp"
#include "tests/reactor/kernel_sockets.hpp"

using namespace confab;
using namespace confab::testing;

namespace {

// Allows itself more descriptors than the sets have room for; false, and said aloud, where that is forbidden.
class ManyDescriptors {
  public:
    ManyDescriptors() {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        rlimit limit = before_;
        limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 3 * FD_SETSIZE);
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
        enough_ = limit.rlim_cur == 3 * FD_SETSIZE;
        if (!enough_) MESSAGE("NOT TESTED: select beyond FD_SETSIZE: the limit of descriptors is too low");
    }
    ManyDescriptors(const ManyDescriptors&) = delete;
    ManyDescriptors& operator=(const ManyDescriptors&) = delete;
    ~ManyDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    bool enough() const { return enough_; }

    // Takes all numbers below `end`.
    static std::vector<Fd> take_below(int end) {
        std::vector<Fd> taken;
        while (true) {
            Fd fd(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
            REQUIRE(fd);
            if (fd.get() >= end) return taken;
            taken.push_back(std::move(fd));
        }
    }

  private:
    rlimit before_{};
    bool enough_ = false;
};

}  // namespace

TEST_CASE("select ends every operation on a descriptor beyond its sets with EMFILE") {
    World world(Waiting::select, make_kernel_sockets(Family::tcp4));
    const ManyDescriptors many;
    if (!many.enough()) return;
    const auto [here, there] = world.pair();
    const Fd high(::fcntl(here, F_DUPFD_CLOEXEC, FD_SETSIZE));
    REQUIRE(high);
    CHECK(world.receive(high.get()) == -EMFILE);
    CHECK(world.send(high.get(), "x") == -EMFILE);
    CHECK(world.accept(high.get()) == -EMFILE);
    Call poll(Operation::Kind::poll, high.get());
    poll.events = POLLIN;
    CHECK(world.result_of(poll) == -EMFILE);
    const Fd last(::fcntl(here, F_DUPFD_CLOEXEC, FD_SETSIZE - 1));
    REQUIRE(last.get() == FD_SETSIZE - 1);
    CHECK(world.send(there, "the last number will do") == 23);
    CHECK(world.text_from(last.get()) == "the last number will do");
}

TEST_CASE("select leaves a connection in the queue that would get a number beyond its sets") {
    World world(Waiting::select, make_kernel_sockets(Family::tcp4));
    const int listener = world.listener();
    const int client = world.socket();
    const ManyDescriptors many;
    if (!many.enough()) return;
    std::vector<Fd> taken = ManyDescriptors::take_below(FD_SETSIZE - 1);
    CHECK(world.connect(world.socket(), world.sockets().endpoint(listener)) == 0);
    const int none = world.accept(listener);  // a number too high is noticed at the latest when it is there
    CHECK(none == -EMFILE);
    CHECK(world.connect(client, world.sockets().endpoint(listener)) == 0);
    CHECK(world.accept(listener) == -EMFILE);
    taken.pop_back();
    const int server = world.accept(listener);
    REQUIRE(server >= 0);
    CHECK(server < FD_SETSIZE);
    CHECK(world.send(client, "nobody was lost") == 15);
    CHECK(world.text_from(server) == "nobody was lost");
}

TEST_CASE("select cannot be made when its own descriptor would lie beyond its sets") {
    const ManyDescriptors many;
    if (!many.enough()) return;
    const std::vector<Fd> taken = ManyDescriptors::take_below(FD_SETSIZE);
    try {
        const Reactor reactor(ReactorOptions{.waiting = Waiting::select});
        FAIL("it was made");
    } catch (const std::system_error& error) {
        CHECK(error.code() == std::errc::too_many_files_open);
    }
}
