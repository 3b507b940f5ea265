// Pipes: the parity list's items 64 to 72.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "pools/connection.hpp"
#include "pools/processes/process.hpp"
#include "pools/wait_any.hpp"
#include "tests/pools/process_support.hpp"

using namespace confab;
using namespace std::chrono_literals;
using processes::process;

namespace {

using Error = connection_error;

std::vector<std::byte> pattern(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 251);
    return bytes;
}

template <class T>
concept sends = requires(T& end, std::string_view text) { end.send(text); };
template <class T>
concept receives = requires(T& end) {
    end.receive();
    end.poll();
};

}  // namespace

TEST_CASE("parity 64: messages arrive as they were sent, empty ones and sixteen megabytes too") {
    auto [receiver, sender] = make_pipe();
    const std::vector<std::byte> large = pattern(std::size_t{16} << 20);
    process child([&, end = std::move(sender)]() mutable {
        for (const std::size_t size :
             {std::size_t{0}, std::size_t{1}, std::size_t{0}, connection::packet_bytes,
              connection::packet_bytes + 1, 3 * connection::packet_bytes, large.size()}) {
            if (!end.send(std::span(large).first(size))) return 1;
        }
        return 0;
    });
    child.start();
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{0}, connection::packet_bytes,
          connection::packet_bytes + 1, 3 * connection::packet_bytes, large.size()}) {
        CAPTURE(size);
        const auto received = receiver.receive();
        REQUIRE(received);
        REQUIRE(received->bytes.size() == size);
        CHECK(std::ranges::equal(received->bytes, std::span(large).first(size)));
        CHECK(received->descriptors.empty());
    }
    CHECK(receiver.receive().error() == Error::closed);
    child.join();
    CHECK(child.exitcode() == 0);
}

TEST_CASE("parity 65: the ends of a one-way pipe cannot be taken for each other") {
    static_assert(sends<writer> && !receives<writer>);
    static_assert(receives<reader> && !sends<reader>);
    static_assert(sends<connection> && receives<connection>);
    static_assert(!std::is_convertible_v<reader&, connection&> && !std::is_copy_constructible_v<connection>);
}

TEST_CASE("a two-way pipe sends both ways") {
    auto [mine, yours] = make_two_way_pipe();
    process child([end = std::move(yours)]() mutable {
        auto question = end.receive();
        return question && end.send(std::string(question->text()) + ", answered") ? 0 : 1;
    });
    child.start();
    CHECK(mine.send("question"));
    CHECK(mine.receive()->text() == "question, answered");
    CHECK(mine.receive().error() == Error::closed);
}

TEST_CASE(
    "parity 66: poll tells whether there is a message, again and again until it is received, or the end") {
    auto [receiver, sender] = make_pipe();
    CHECK_FALSE(receiver.poll());
    CHECK_FALSE(receiver.poll_for(-1s));
    CHECK_FALSE(receiver.poll_for(1ms));
    CHECK(receiver.receive_for(0s).error() == Error::empty);
    CHECK(receiver.receive_for(1ms).error() == Error::empty);
    CHECK(sender.send(""));
    CHECK(receiver.poll());
    CHECK(receiver.poll());
    CHECK(receiver.poll_for(1h));
    CHECK(receiver.receive()->bytes.empty());
    CHECK_FALSE(receiver.poll());
    sender.close();
    CHECK(receiver.poll());
    CHECK(receiver.receive().error() == Error::closed);
    CHECK(receiver.receive().error() == Error::closed);
}

TEST_CASE("parity 67: sending to nobody fails without a signal, and an end that is closed here is misuse") {
    auto [receiver, sender] = make_pipe();
    CHECK(sender.send("nobody will read this"));
    receiver.close();
    CHECK(receiver.closed());
    CHECK(sender.send("nor this").error() == Error::closed);
    CHECK(sender.send(pattern(1 << 20)).error() == Error::closed);
    CHECK_THROWS_AS(static_cast<void>(receiver.receive()), std::logic_error);
    CHECK_THROWS_AS(receiver.poll(), std::logic_error);
    sender.close();
    CHECK_THROWS_AS(static_cast<void>(sender.send("x")), std::logic_error);
}

TEST_CASE("what was sent arrives though its sender had something unread when it closed") {
    auto [one, two] = make_two_way_pipe();
    CHECK(one.send("unread"));
    CHECK(two.send("last words"));
    two.close();
    CHECK(one.receive()->text() == "last words");
    CHECK(one.receive().error() == Error::closed);
}

TEST_CASE(
    "parity 68: the end comes when the child is gone, since start closes the parent's copy of its end") {
    auto [receiver, sender] = make_pipe();
    process child([end = std::move(sender)]() mutable { return end.send("only words") ? 0 : 1; });
    child.start();
    CHECK(receiver.receive()->text() == "only words");
    CHECK(receiver.receive().error() == Error::closed);
}

TEST_CASE("parity 69: a message that is longer than allowed is dropped, and the next one arrives") {
    auto [receiver, sender] = make_pipe();
    process child([end = std::move(sender)]() mutable {
        return end.send("12345") && end.send(pattern(1 << 20)) && end.send("1234") ? 0 : 1;
    });
    child.start();
    CHECK(receiver.receive(4).error() == Error::too_long);
    CHECK(receiver.receive(4).error() == Error::too_long);
    CHECK(receiver.receive(4)->text() == "1234");
}

TEST_CASE("parity 69: no buffer is too small, since it grows; and its memory is used again") {
    auto [receiver, sender] = make_pipe();
    message into;
    CHECK(sender.send("a long message"));
    CHECK(receiver.receive_into(into));
    CHECK(into.text() == "a long message");
    CHECK(sender.send("short"));
    CHECK(receiver.receive_into(into));
    CHECK(into.text() == "short");
}

TEST_CASE("parity 70: a message whose sender is killed in the middle is cut short, never shorter") {
    auto [receiver, sender] = make_pipe();
    process child([end = std::move(sender)]() mutable {
        static_cast<void>(end.send("whole"));
        static_cast<void>(end.send(pattern(std::size_t{64} << 20)));
    });
    child.start();
    CHECK(receiver.receive()->text() == "whole");
    CHECK(receiver.poll_for(patience));
    CHECK(receiver.receive_for(0s, 1).error() ==
          Error::empty);  // its first packets, of more than there is room for
    child.kill();
    child.join();
    CHECK(receiver.receive().error() == Error::cut_short);
    CHECK(receiver.receive().error() == Error::closed);
}

TEST_CASE("parity 70: of two senders the one that lives is heard after the other was killed in the middle") {
    auto [receiver, sender] = make_pipe();
    process child([&sender] { static_cast<void>(sender.send(pattern(std::size_t{64} << 20))); });
    child.start();
    CHECK(receiver.poll_for(patience));
    child.kill();
    child.join();
    while (receiver.receive_for(0s).error() != Error::empty) {
    }
    CHECK(sender.send("still here"));
    CHECK(receiver.receive().error() == Error::cut_short);
    CHECK(receiver.poll());
    CHECK(receiver.receive()->text() == "still here");
    CHECK_FALSE(receiver.poll());
}

TEST_CASE("a message that comes in pieces can be waited for in pieces") {
    auto [receiver, sender] = make_pipe();
    const std::vector<std::byte> large = pattern(std::size_t{4} << 20);
    process child([&, end = std::move(sender)]() mutable { return end.send(large) ? 0 : 1; });
    child.start();
    auto received = receiver.receive_for(0s);
    while (!received && received.error() == Error::empty) received = receiver.receive_for(1ms);
    REQUIRE(received);
    CHECK(received->bytes == large);
}

TEST_CASE("a send with a limit gives up, before a message or for good in the middle of one") {
    auto [receiver, sender] = make_pipe();
    while (sender.send_for(0s, pattern(connection::packet_bytes))) {
    }
    CHECK(sender.send_for(1ms, pattern(1 << 20)).error() == Error::full);
    const auto whole = [&] {
        const auto received = receiver.receive_for(0s);
        return received && received->bytes.size() == connection::packet_bytes;
    };
    while (whole()) {
    }
    CHECK(sender.send_for(0s, pattern(1 << 20)).error() == Error::full);  // the buffer takes a part
    CHECK(receiver.receive().error() == Error::cut_short);
    CHECK(sender.send("more").error() == Error::closed);
    CHECK(receiver.receive().error() == Error::closed);
}

TEST_CASE("parity 71: descriptors travel with messages, those of high numbers and of pipes too") {
    auto [mine, yours] = make_two_way_pipe();
    auto [receiver, sender] = make_pipe();
    process child([end = std::move(yours)]() mutable {
        auto sent = end.receive_descriptor();
        if (!sent) return 1;
        writer carried(std::move(*sent));
        if (!carried.send("through a pipe that came through a pipe")) return 2;

        const Fd event(::eventfd(5, EFD_CLOEXEC));
        const Fd high(::fcntl(event.get(), F_DUPFD_CLOEXEC, 300));
        if (high.get() < 300) return 3;
        return end.send(std::as_bytes(std::span(std::string_view("with two"))),
                        std::array{high.get(), event.get()})
                   ? 0
                   : 4;
    });
    child.start();
    CHECK(mine.send_descriptor(sender.descriptor()));
    sender.close();
    CHECK(receiver.receive()->text() == "through a pipe that came through a pipe");
    const auto received = mine.receive();
    REQUIRE(received);
    CHECK(received->text() == "with two");
    REQUIRE(received->descriptors.size() == 2);
    CHECK((::fcntl(received->descriptors[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
    std::uint64_t value = 0;
    CHECK(::read(received->descriptors[0].get(), &value, sizeof value) == sizeof value);
    CHECK(value == 5);
    child.join();
    CHECK(child.exitcode() == 0);
}

TEST_CASE("parity 71: a message without the descriptor that is expected is an error") {
    auto [one, two] = make_two_way_pipe();
    CHECK(one.send("no descriptor"));
    CHECK(two.receive_descriptor().error() == Error::no_descriptor);
    CHECK(one.send_descriptor(one.descriptor()));
    CHECK(two.receive_descriptor());
    CHECK_THROWS_AS(static_cast<void>(one.send({}, std::vector<int>(connection::most_descriptors + 1))),
                    std::invalid_argument);
}

TEST_CASE("parity 71: a descriptor that there is no room for is an error, not silence") {
    auto [one, two] = make_two_way_pipe();
    process child([&one, &two] {
        if (!one.send_descriptor(one.descriptor())) return 1;
        const Fd next(::fcntl(one.descriptor(), F_DUPFD_CLOEXEC, 0));
        const rlimit none{.rlim_cur = static_cast<rlim_t>(next.get()),
                          .rlim_max = static_cast<rlim_t>(next.get())};
        if (::setrlimit(RLIMIT_NOFILE, &none) != 0) return 2;
        try {
            static_cast<void>(two.receive_descriptor());
        } catch (const std::system_error& error) {
            return error.code().value() == EMFILE ? 0 : 3;
        }
        return 4;
    });
    child.start();
    child.join();
    CHECK(child.exitcode() == 0);
}

TEST_CASE("parity 72: one wait is for pipes, descriptors and processes, and gives all that are ready") {
    auto [quiet, quiet_sender] = make_pipe();
    auto [loud, loud_sender] = make_pipe();
    const Fd event(::eventfd(0, EFD_CLOEXEC));
    process sleeper([] {
        while (true) ::pause();
    });
    sleeper.start();
    const std::initializer_list<waitable> list{quiet, loud, event, sleeper};
    CHECK(wait_any_for(0s, list).empty());
    CHECK(wait_any_for(-1s, list).empty());
    CHECK(wait_any_for(1ms, list).empty());
    CHECK(loud_sender.send("now"));
    CHECK(wait_any({quiet, loud, event, sleeper}) == std::vector<std::size_t>{1});
    const std::uint64_t one = 1;
    CHECK(::write(event.get(), &one, sizeof one) == sizeof one);
    sleeper.kill();
    sleeper.join();
    quiet_sender.close();
    CHECK(wait_any({quiet, loud, event, sleeper}) == std::vector<std::size_t>{0, 1, 2, 3});
}

TEST_CASE("parity 72: signals shorten neither waits nor receives") {
    static processes::shared<std::atomic<int>> handled;
    struct sigaction before{};
    struct sigaction action{};
    action.sa_handler = [](int) { ++*handled; };
    REQUIRE(::sigaction(SIGUSR1, &action, &before) == 0);
    auto [receiver, sender] = make_pipe();
    process child([end = std::move(sender)]() mutable {
        const auto interrupt = [](int count) {
            for (int i = 0; i < 3; ++i) {
                ::kill(::getppid(), SIGUSR1);
                while (*handled < count + i + 1) ::sched_yield();
            }
        };
        interrupt(0);
        static_cast<void>(end.send("one"));
        while (*handled < 3) ::sched_yield();
        interrupt(3);
        static_cast<void>(end.send("two"));
    });
    child.start();
    CHECK(wait_any({receiver}) == std::vector<std::size_t>{0});
    CHECK(receiver.receive()->text() == "one");
    CHECK(receiver.receive()->text() == "two");
    child.join();
    CHECK(*handled == 6);
    ::sigaction(SIGUSR1, &before, nullptr);
}
