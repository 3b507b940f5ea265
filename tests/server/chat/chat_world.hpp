// Internal to tests: people in a chat, on reactors that the test drives by turns, over real sockets.
#pragma once

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "reactor/outbox.hpp"
#include "reactor/reactor.hpp"
#include "server/chat/chat.hpp"
#include "server/chat/hub.hpp"
#include "server/chat/line_conversation.hpp"
#include "server/chat/line_face.hpp"
#include "server/chat/member.hpp"

namespace confab::chat {

/// A chat and the memory it lives in.
struct WholeChat {
    explicit WholeChat(const Limits& limits = {}, std::uint64_t first_epoch = 1)
        : memory(limits, first_epoch), chat(memory) {}
    operator Chat&() { return chat; }  // NOLINT(google-explicit-constructor)

    ChatMemory memory;
    Chat chat;
};

/// A reactor with its hub.
struct Site {
    explicit Site(Chat& chat) : reactor(ReactorOptions{}), hub(chat, reactor) {}

    /// Runs `action` on the reactor, and the turn that it belongs to.
    void run(const std::function<void()>& action) {
        struct Action : Job {
            explicit Action(const std::function<void()>& todo)
                : Job([](Job& job) noexcept { static_cast<Action&>(job).function(); }), function(todo) {}
            const std::function<void()>& function;
        } job(action);
        reactor.ready(job);
        reactor.turn();
    }

    Reactor reactor;
    Hub hub;
};

/// A connection on a site, seen from both ends. He has come in when the constructor returns.
class Person {
  public:
    using Next = LineConversation::Next;

    explicit Person(Site& site, const std::string& nick = {}) : Person(site, pair()) {
        if (nick.empty()) return;
        type("/nick " + nick);
        settle({&site});
        hear();
    }
    Person(const Person&) = delete;
    Person& operator=(const Person&) = delete;
    ~Person() {
        site_.run([&] {
            member_->leave(Reason::quit);
            member_.reset();
            outbox_.abandon(-ECANCELED);
        });
        while (outbox_.sending()) site_.reactor.turn();
        Operation close(Operation::Kind::close, own_, [](Operation&) noexcept {});
        site_.run([&] { REQUIRE(site_.reactor.submit(close)); });
        if (peer_ >= 0) ::close(peer_);
    }

    /// Types lines, LF behind each; returns what the conversation waits for then.
    Next type(std::string_view lines) { return type_bytes(std::string(lines) + "\n"); }
    Next type_bytes(std::string_view bytes) {
        site_.run([&] { next = conversation_.receive(std::as_bytes(std::span(bytes))); });
        return next;
    }
    Next go_on() {
        site_.run([&] { next = conversation_.go_on(); });
        return next;
    }
    Next end_input() {
        site_.run([&] { next = conversation_.finish(); });
        return next;
    }

    /// What has arrived since the last time.
    std::string hear() {
        std::string heard;
        std::array<char, 65536> buffer;
        while (true) {
            const ssize_t size = ::recv(peer_, buffer.data(), buffer.size(), MSG_DONTWAIT);
            if (size <= 0) return heard;
            heard.append(buffer.data(), static_cast<std::size_t>(size));
        }
    }

    Member& member() { return *member_; }
    Outbox& outbox() { return outbox_; }
    bool was_dropped() const { return dropped_; }

    /// Lets all sites do what there is to do.
    static void settle(const std::vector<Site*>& sites) {
        for (int round = 0; round < 50; ++round) {
            for (Site* const site : sites) site->reactor.turn();
        }
    }

    Next next = Next::receive;

  private:
    struct TestMember final : Member {
        explicit TestMember(Person& owner)
            : Member(owner.site_.hub, owner.outbox_, line_face(), Duration::max()), person(owner) {}
        void dropped() override { person.dropped_ = true; }
        Person& person;
    };

    static std::array<int, 2> pair() {
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
        return ends;
    }
    Person(Site& site, std::array<int, 2> ends)
        : site_(site),
          own_(ends[0]),
          peer_(ends[1]),
          outbox_(ends[0]),
          member_(std::make_unique<TestMember>(*this)),
          conversation_(*member_) {
        site_.run([&] { conversation_.begin(); });
    }

    Site& site_;
    int own_;
    int peer_;
    Outbox outbox_;
    std::unique_ptr<TestMember> member_;
    LineConversation conversation_;
    bool dropped_ = false;
};

}  // namespace confab::chat
