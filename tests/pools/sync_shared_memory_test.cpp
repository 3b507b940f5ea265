// What processes promise about shared memory: items 79 to 83 of the parity list.
#include "pools/processes/shared_memory.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "tests/support/child.hpp"

using namespace confab;
using namespace confab::processes;

namespace {

struct Pair {
    int first = 1;
    int second = 2;
};

struct Virtual {
    virtual void f() {}
};

Fd copy_of(const Fd& descriptor) { return Fd(::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 0)); }

// Over a Unix socket, as processes that are no kin do it.
void send_descriptor(int socket, const Fd& descriptor) {
    std::array<char, CMSG_SPACE(sizeof(int))> control = {};
    char byte = 0;
    iovec bytes = {&byte, 1};
    msghdr message = {};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    const int number = descriptor.get();
    std::memcpy(CMSG_DATA(header), &number, sizeof number);
    if (::sendmsg(socket, &message, 0) != 1)
        throw std::system_error(errno, std::system_category(), "sendmsg");
}

Fd receive_descriptor(int socket) {
    std::array<char, CMSG_SPACE(sizeof(int))> control = {};
    char byte = 0;
    iovec bytes = {&byte, 1};
    msghdr message = {};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1)
        throw std::system_error(errno, std::system_category(), "recvmsg");
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    if (header == nullptr) throw std::runtime_error("no descriptor came");
    int number = -1;
    std::memcpy(&number, CMSG_DATA(header), sizeof number);
    return Fd(number);
}

std::vector<std::string> names_in(const char* directory) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) names.push_back(entry.path());
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace

TEST_CASE("parity 79: shared memory of no size, or of more than there can be, is an error") {
    CHECK_THROWS_AS(shared_memory(0), std::invalid_argument);
    CHECK_THROWS_AS(shared_memory{std::numeric_limits<std::size_t>::max()}, std::system_error);
}

TEST_CASE("parity 79: attaching what is not there, or is something else, is an error") {
    CHECK_THROWS_AS(shared_memory::attach(Fd()), std::system_error);
    CHECK_THROWS_AS(shared_memory::attach(Fd(::open("/dev/null", O_RDWR | O_CLOEXEC))),
                    std::invalid_argument);
    // Its owner could cut it short under our feet.
    CHECK_THROWS_AS(shared_memory::attach(Fd(::memfd_create("unsealed", MFD_CLOEXEC))),
                    std::invalid_argument);
    const shared_memory memory(100);
    CHECK_THROWS_AS(shared<Pair>::attach(copy_of(memory.descriptor())), std::invalid_argument);
}

TEST_CASE("parity 79: attached memory has the size it was made with, for ever") {
    const shared_memory memory(5000);
    CHECK(memory.size() == 5000);
    const shared_memory attached = shared_memory::attach(copy_of(memory.descriptor()));
    CHECK(attached.size() == 5000);
    attached.bytes()[4999] = std::byte{7};
    CHECK(memory.bytes()[4999] == std::byte{7});
    CHECK(::ftruncate(attached.descriptor().get(), 1) < 0);
    CHECK(::ftruncate(attached.descriptor().get(), 1 << 20) < 0);
}

TEST_CASE("parity 80: what a child writes its parent sees") {
    const shared<Pair> pair;
    Child child([&] {
        if (pair->first != 1) return 1;
        pair->second = 40;
        return 0;
    });
    CHECK(child.join() == 0);
    CHECK(pair->second == 40);
}

TEST_CASE("parity 81: of memory whose maker is killed nothing is left behind") {
    const auto before = names_in("/dev/shm");
    Child child([] {
        const shared_memory memory(1 << 20);
        return ::pause();
    });
    child.until_asleep();
    CHECK(names_in("/dev/shm") == before);
    CHECK(child.kill() == -SIGKILL);
    CHECK(names_in("/dev/shm") == before);
}

TEST_CASE("parity 81: memory outlives its killed maker for who has it") {
    std::array<int, 2> ends = {};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const Fd mine(ends[0]);
    const Fd theirs(ends[1]);
    Child maker([&] {
        const shared<Pair> pair(5, 6);
        send_descriptor(theirs.get(), pair.memory().descriptor());
        return ::pause();
    });
    const auto pair = shared<Pair>::attach(receive_descriptor(mine.get()));
    CHECK(maker.kill() == -SIGKILL);
    CHECK(pair->first == 5);
    CHECK(pair->second == 6);
}

TEST_CASE("parity 82: one that attaches and ends takes nothing away") {
    const shared<Pair> pair;
    Child child([&] {
        const auto attached = shared<Pair>::attach(copy_of(pair.memory().descriptor()));
        attached->second = 9;
        return 0;
    });
    CHECK(child.join() == 0);
    CHECK(pair->second == 9);
    const auto again = shared<Pair>::attach(copy_of(pair.memory().descriptor()));
    CHECK(again->second == 9);
}

TEST_CASE("parity 83: shared data are zeros at first, and bring no lock") {
    const shared_memory memory(10000);
    CHECK(std::ranges::all_of(memory.bytes(), [](std::byte byte) { return byte == std::byte{}; }));
    const shared<std::array<int, 100>> numbers;
    CHECK(std::ranges::all_of(*numbers, [](int number) { return number == 0; }));
    CHECK(numbers.memory().size() == sizeof(*numbers));
    const shared<std::atomic<int>> counter(3);
    ++*counter;
    CHECK(*counter == 4);
}

TEST_CASE("parity 82: types that mean something in one process only cannot be shared") {
    CHECK(address_free<Pair>);
    CHECK(address_free<std::atomic<int>>);
    CHECK_FALSE(address_free<int*>);
    CHECK_FALSE(address_free<int* [4]>);
    CHECK_FALSE(address_free<int&>);
    CHECK_FALSE(address_free<std::string>);
    CHECK_FALSE(address_free<std::vector<int>>);
    CHECK_FALSE(address_free<std::unique_ptr<int>>);
    CHECK_FALSE(address_free<Virtual>);
}

TEST_CASE("shared memory moves with its addresses") {
    shared<Pair> pair;
    Pair* const address = &*pair;
    shared<Pair> moved(std::move(pair));
    CHECK(&*moved == address);
    pair = std::move(moved);
    CHECK(&*pair == address);
}
