// A conversation is taken apart wherever it may wait, written out, and put together again elsewhere: its
// peer, and everybody else, hear what they would have heard.
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coro/scope.hpp"
#include "pools/serialise.hpp"
#include "reactor/reactor.hpp"
#include "server/chat/chat.hpp"
#include "server/chat/chat_app.hpp"
#include "server/connection.hpp"
#include "tests/support/child.hpp"

namespace confab::chat {
namespace {

// One process's share of a chat, with one connection at most, on a reactor that is driven by turns.
class House {
  public:
    House(std::shared_ptr<const ChatMemory> memory, std::uint32_t process, Waiting waiting)
        : application_(make_chat_app(std::move(memory), process)),
          reactor_({.waiting = waiting}),
          worker_(application_->make_worker(reactor_)) {}
    ~House() {
        if (tasks_) tasks_->request_stop();
        settle();
    }
    House(const House&) = delete;
    House& operator=(const House&) = delete;

    void begin(Fd connection) { Connection::start(fresh_tasks(), place_, connection.release()); }
    void arrive(Traveller traveller) { Connection::arrive(fresh_tasks(), place_, std::move(traveller)); }

    /// The connection, taken apart; nothing when it has ended.
    std::optional<Traveller> depart() {
        tasks_->request_stop(StopReason::moved);
        while (tasks_->size() > 0) reactor_.turn();
        return std::exchange(departed_, std::nullopt);
    }

    void settle() {
        for (int round = 0; round < 30; ++round) reactor_.turn();
    }

  private:
    scope& fresh_tasks() {
        tasks_ = std::make_unique<scope>(reactor_, OnFailure::ignore);
        return *tasks_;
    }

    std::unique_ptr<Application> application_;
    Reactor reactor_;
    std::unique_ptr<Worker> worker_;
    std::optional<Traveller> departed_;
    StreamLimits limits_;
    Connection::Place place_{.worker = *worker_, .limits = limits_, .departed = [this](Traveller traveller) {
                                 departed_ = std::move(traveller);
                             }};
    std::unique_ptr<scope> tasks_;
};

// Carries a traveller as it goes between processes: as bytes, and a descriptor.
void send(connection& to, const Traveller& traveller) {
    std::vector<std::byte> bytes;
    std::vector<int> descriptors;
    byte_writer archive(bytes, &descriptors);
    serialise(archive, traveller);
    REQUIRE(to.send(bytes, descriptors).has_value());
}

Traveller receive(connection& from) {
    auto message = from.receive();
    REQUIRE(message.has_value());
    byte_reader archive(message->bytes, message->descriptors);
    return deserialise<Traveller>(archive);
}

// Where the conversation goes on: in a house of this process or of a forked one, which obeys by letters.
class Abroad {
  public:
    Abroad(const std::shared_ptr<const ChatMemory>& memory, Waiting waiting, bool forked) {
        if (!forked) {
            house_ = std::make_unique<House>(memory, 2, waiting);
            return;
        }
        auto [ours, theirs] = make_two_way_pipe();
        here_ = std::make_unique<connection>(std::move(ours));
        child_ = std::make_unique<Child>([&] {
            here_.reset();
            House house(memory, 3, waiting);
            while (const auto order = theirs.receive()) {
                const char letter = order->text().front();
                if (letter == 'a') house.arrive(receive(theirs));
                if (letter == 'd') send(theirs, *house.depart());
                house.settle();
                if (letter == 's' && !theirs.send("settled")) return 1;
            }
            return 0;
        });
    }

    void arrive(Traveller traveller) {
        if (house_) return house_->arrive(std::move(traveller));
        REQUIRE(here_->send("a").has_value());
        send(*here_, traveller);
    }
    Traveller depart() {
        if (house_) {
            auto traveller = house_->depart();
            REQUIRE(traveller.has_value());
            return std::move(*traveller);
        }
        REQUIRE(here_->send("d").has_value());
        return receive(*here_);
    }
    void settle() {
        if (house_) return house_->settle();
        REQUIRE(here_->send("s").has_value());
        REQUIRE(here_->receive().has_value());
    }

  private:
    std::unique_ptr<House> house_;
    std::unique_ptr<connection> here_;
    std::unique_ptr<Child> child_;
};

// A client of somebody's connection.
class Peer {
  public:
    Peer() {
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
        mine_ = Fd(ends[0]);
        theirs_ = Fd(ends[1]);
    }
    Fd take_other_end() { return std::move(theirs_); }
    void type(std::string_view text) {
        REQUIRE(::send(mine_.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(text.size()));
    }
    void hang_up() { REQUIRE(::shutdown(mine_.get(), SHUT_WR) == 0); }
    // True: the end has come.
    bool hear(std::string& heard) {
        std::array<char, 65536> buffer;
        while (true) {
            const ssize_t size = ::recv(mine_.get(), buffer.data(), buffer.size(), 0);
            if (size <= 0) return size == 0;
            heard.append(buffer.data(), static_cast<std::size_t>(size));
        }
    }

  private:
    Fd mine_;
    Fd theirs_;
};

// What happens, step by step. `stall`: a third reader does not read its news, so that the bus is full;
// `go_on`: it does. Anna's client reads after each step, unless she is `slow`.
struct Step {
    enum class What { anna, bert, anna_hangs_up, slow, quick, stall, go_on };
    What what;
    std::string text{};
};
using What = Step::What;

std::vector<Step> script(const Limits& limits) {
    std::vector<Step> steps{
        {What::anna, "/nick anna\n"},
        {What::bert, "/nick bert\n"},
        {What::anna, "hello\n/join t"},  // a line in pieces
        {What::anna, "ea\nI like tea\n"},
        {What::bert, "good morning\n"},
        {What::anna, std::string(limits.line_length + 10, 'x')},  // one that is thrown away
        {What::bert, "/msg anna psst\n"},
        {What::anna, "still the same line\n/who\n"},
        {What::bert, "/join tea\nhere, too\n"},
        {What::anna, "/history\n/topic green\n/me drinks\n"},
        {What::stall},
    };
    // The bus is full then: what she says next has to wait for room.
    for (std::size_t said = 0; said < limits.bus_bytes; said += 60)
        steps.push_back({What::bert, std::string(50, 'b') + "\n"});
    steps.insert(steps.end(), {{What::anna, "is there room?\n/ping 1\n"},
                               {What::anna, "/ping 2\nand more"},
                               {What::go_on},
                               {What::anna, " of it\n"},
                               {What::slow}});
    // Answers that she does not take, so that her next commands have to wait; then news on top.
    std::string questions;
    for (int i = 0; i < 25; ++i) questions += "/help\n";
    for (int i = 0; i < 16; ++i) steps.push_back({What::anna, questions});
    for (int i = 0; i < 20; ++i) steps.push_back({What::bert, std::string(60, 'c') + "\n"});
    steps.insert(steps.end(), {{What::quick},
                               {What::anna, "/part tea\nin the lobby again\n"},
                               {What::bert, "bye\n"},
                               {What::anna, "no end of line"},
                               {What::anna_hangs_up},
                               {What::bert, "/who lobby\n"}});
    return steps;
}

// A member whose reactor does not read its news unless it is told to.
class Laggard {
  public:
    explicit Laggard(const ChatMemory& memory) : chat_(memory, 4) { chat_.attach(reader_); }
    void enter() {
        id_ = chat_.enter(reader_)->id;
        read();
        REQUIRE(chat_.join(reader_, id_, Name("tea"), Instant()).has_value());
        read();
    }
    void read() {
        std::array<std::byte, 16 * 1024> piece;
        while (chat_.read(reader_, piece).more) {
        }
    }

  private:
    Chat chat_;
    Reactor reactor_{ReactorOptions{}};
    Job news_{[](Job&) noexcept {}};
    Bell bell_;
    BusReader reader_{reactor_, news_, bell_.name()};
    MemberId id_;
};

struct Heard {
    std::string anna;
    std::string bert;
};

enum class Moves { none, here, to_another_process };

// Where Anna's connection is taken apart: before every `each`th step, beginning with number `first`.
struct Plan {
    Moves moves = Moves::none;
    int first = 0;
    int each = 1;
};

Heard play(Waiting waiting, const Plan& plan) {
    Limits limits;
    limits.line_length = 64;
    limits.bus_bytes = 8 * 1024;
    limits.reply_bytes_queued = 1024;
    limits.publisher_patience = std::chrono::hours(1);
    limits.members = 100;
    const auto memory = std::make_shared<const ChatMemory>(limits, 35);
    Abroad abroad(memory, waiting, plan.moves == Moves::to_another_process);
    House home(memory, 0, waiting);
    House bert_home(memory, 1, waiting);
    Peer anna;
    Peer bert;
    Laggard laggard(*memory);
    bool at_home = true;
    bool is_slow = false;
    bool laggard_reads = false;
    Heard heard;
    const auto settle = [&] {
        for (int round = 0; round < 3; ++round) {
            if (at_home)
                home.settle();
            else
                abroad.settle();
            bert_home.settle();
            if (laggard_reads) laggard.read();
            if (!is_slow) anna.hear(heard.anna);
            bert.hear(heard.bert);
        }
    };
    home.begin(anna.take_other_end());
    settle();
    bert_home.begin(bert.take_other_end());
    settle();
    int number = 0;
    bool ended = false;
    for (const Step& step : script(limits)) {
        const bool moves = plan.moves != Moves::none && number >= plan.first &&
                           (number - plan.first) % plan.each == 0 && !ended;
        ++number;
        if (moves) {
            Traveller traveller = at_home ? *home.depart() : abroad.depart();
            // What is said on the way is not lost.
            if (step.what == What::bert) bert.type(step.text);
            bert_home.settle();
            if (at_home)
                abroad.arrive(std::move(traveller));
            else
                home.arrive(std::move(traveller));
            at_home = !at_home;
        }
        switch (step.what) {
            case What::anna:
                anna.type(step.text);
                break;
            case What::bert:
                if (!moves) bert.type(step.text);
                break;
            case What::anna_hangs_up:
                anna.hang_up();
                ended = true;
                break;
            case What::slow:
            case What::quick:
                is_slow = step.what == What::slow;
                break;
            case What::stall:
                laggard.enter();
                break;
            case What::go_on:
                laggard_reads = true;
                break;
        }
        settle();
    }
    CHECK(anna.hear(heard.anna));
    return heard;
}

const std::vector<Waiting> ways{Waiting::epoll, Waiting::uring, Waiting::poll};

}  // namespace

TEST_CASE("a conversation goes on elsewhere in this process, wherever it waited") {
    for (const Waiting waiting : ways) {
        CAPTURE(static_cast<int>(waiting));
        const Heard expected = play(waiting, {});
        CHECK(expected.anna.contains("* pong 2"));
        CHECK(expected.bert.contains("anna: in the lobby again"));
        for (const Plan plan : {Plan{Moves::here, 1, 1}, Plan{Moves::here, 2, 3}, Plan{Moves::here, 5, 7}}) {
            CAPTURE(plan.first);
            const Heard moved = play(waiting, plan);
            CHECK(moved.anna == expected.anna);
            CHECK(moved.bert == expected.bert);
        }
    }
}

TEST_CASE("a conversation goes on in another process, wherever it waited, and comes back") {
    for (const Waiting waiting : ways) {
        CAPTURE(static_cast<int>(waiting));
        const Heard expected = play(waiting, {});
        for (const Plan plan :
             {Plan{Moves::to_another_process, 1, 1}, Plan{Moves::to_another_process, 3, 5}}) {
            CAPTURE(plan.first);
            const Heard moved = play(waiting, plan);
            CHECK(moved.anna == expected.anna);
            CHECK(moved.bert == expected.bert);
        }
    }
}

}  // namespace confab::chat
