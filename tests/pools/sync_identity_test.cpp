#include "pools/processes/identity.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "pools/futex.hpp"
#include "pools/processes/proc_stat.hpp"
#include "pools/processes/shared_memory.hpp"
#include "tests/support/child.hpp"

using namespace confab;
using processes::identity;
using processes::ProcStat;
using processes::read_proc_stat;

TEST_CASE("a process is itself, and alive") {
    CHECK(identity::mine().pid == ::getpid());
    CHECK(identity::mine().alive());
    CHECK(identity::of(::getpid()) == identity::mine());
    CHECK_FALSE(identity().alive());
    CHECK_FALSE(static_cast<bool>(identity()));
}

TEST_CASE("a forked child is another process than its parent") {
    const identity parent = identity::mine();
    Child child([&] { return identity::mine() != parent && identity::mine().pid == ::getpid() ? 0 : 1; });
    CHECK(child.join() == 0);
}

TEST_CASE("a process is dead as soon as it was killed, before anybody has reaped it") {
    Child child([] { return ::pause(); });
    const auto who = identity::of(child.pid());
    REQUIRE(who);
    CHECK(who->alive());
    child.kill_and_leave();
    CHECK_FALSE(who->alive());
    CHECK_FALSE(identity::of(child.pid()));
    child.join();
    CHECK_FALSE(who->alive());
}

TEST_CASE("another process with the same number is not the same process") {
    const identity mine = identity::mine();
    CHECK_FALSE(identity{mine.pid, mine.started + 1}.alive());
}

TEST_CASE("a process whose main thread has ended lives as long as another goes on") {
    processes::shared<FutexWord> told;
    Child child([&] {
        std::thread([&] {
            futex_wait(*told, 0, FutexScope::processes);
            ::_exit(5);
        }).detach();
        return static_cast<int>(::syscall(SYS_exit, 0));  // of this thread only
    });
    until([&] { return state_of(child.pid()) == 'Z'; });
    const auto who = identity::of(child.pid());
    REQUIRE(who);
    CHECK(who->alive());
    *told = 1;
    futex_wake(*told, 1, FutexScope::processes);
    CHECK(child.join() == 5);
}

TEST_CASE("what the kernel says of a process is read as it says it, and its end is told from an error") {
    Child child([] { return ::pause(); });
    child.until_asleep();
    const std::string path = "/proc/" + std::to_string(child.pid()) + "/stat";
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const ProcStat stat = read_proc_stat(path.c_str());
    CHECK(stat.error == 0);
    CHECK(stat.state == 'S');
    CHECK(stat.parent == ::getpid());
    CHECK(stat.threads == 1);
    CHECK(stat.started == identity::of(child.pid())->started);
    child.kill();
    CHECK(read_proc_stat(path.c_str()).error == ENOENT);
    CHECK(read_proc_stat(file).error == ESRCH);  // it ended between the opening and the reading
}
