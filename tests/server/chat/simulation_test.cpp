// The whole chat in a simulated world: fifty members on one to three reactors, over a network that delays,
// tears apart and reorders, by seed. CONFAB_SEEDS says how many worlds (default 100); a failure names its
// seed.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "coro/event.hpp"
#include "coro/listener.hpp"
#include "coro/scope.hpp"
#include "coro/sleep.hpp"
#include "coro/stream.hpp"
#include "reactor/simulated.hpp"
#include "reactor/thread_counts.hpp"
#include "server/chat/chat_app.hpp"
#include "server/connection.hpp"

using namespace confab;
using namespace std::chrono_literals;

namespace {

constexpr int members = 50;
constexpr int rooms = 3;
constexpr int messages_each = 3;
constexpr std::uint16_t port = 7000;

int seeds() {
    const char* const wanted = std::getenv("CONFAB_SEEDS");
    return wanted != nullptr ? std::atoi(wanted) : 100;
}

SimulationOptions world(std::uint64_t seed, double resets) {
    SimulationOptions options;
    options.seed = seed;
    options.lends_scratch = seed % 2 == 0;
    options.buffer_size = seed % 3 == 0 ? 64 : 4096;
    options.delay = options.late = options.short_receive = options.short_send = options.reorder = 0.2;
    options.failure(Operation::Kind::accept) = {.probability = 0.1, .error = EMFILE};
    options.reset = resets;
    return options;
}

/// One reactor's share of the server.
class Site {
  public:
    Site(SimulatedNetwork& network, Application& application)
        : reactor_({.waiting = Waiting::simulated, .network = &network}),
          worker_(application.make_worker(reactor_)),
          tasks_(reactor_, OnFailure::ignore) {
        tasks_.spawn(accept_from(network.listen(port, true)), "accept");
    }

    Reactor& reactor() { return reactor_; }
    bool is_over() const { return tasks_.size() == 0; }
    void end() { tasks_.request_stop(); }

  private:
    task<void> accept_from(int listening) {
        while (!TaskContext::current()->stop_requested()) {
            const auto fd = co_await accept(listening);
            if (fd) Connection::start(tasks_, place_, *fd);
        }
        co_await close_descriptor(listening);
    }

    Reactor reactor_;
    std::unique_ptr<Worker> worker_;
    scope tasks_;
    const StreamLimits limits_;
    const Connection::Place place_{*worker_, limits_};
};

struct Member {
    int number;
    std::string room;
    bool lost = false;  // its connection broke before it had said goodbye
    bool parted = false;
    std::vector<std::string> heard{};  // what others said in its room, in order
};

/// The clients: they all come in, then all speak, then all listen for a minute, and leave.
class People {
  public:
    explicit People(SimulatedNetwork& network) : network_(network) {
        for (int number = 0; number < members; ++number) {
            all.push_back({.number = number, .room = "room" + std::to_string(number % rooms)});
        }
    }

    task<void> live(Member& self) {
        const int fd = network_.socket();
        const auto connected = co_await connect(fd, SimulatedNetwork::endpoint(port));
        Stream stream(*Reactor::current(), fd);
        self.lost = !connected;
        if (connected) {
            scope ears(OnFailure::ignore);
            ears.spawn(listen(stream, self), "ears");
            co_await stream.send("/join " + self.room + "\n");
            co_await everybody_is_in(self);
            for (int i = 0; i < messages_each && !self.lost; ++i) {
                co_await sleep(std::chrono::milliseconds(network_.random(50)));
                co_await stream.send("said " + std::to_string(self.number) + ' ' + std::to_string(i) + '\n');
            }
            co_await sleep(1min);
            co_await stream.send("/quit\n");
            co_await ears.join();
        } else {
            co_await everybody_is_in(self);
        }
        co_await stream.close();
    }

    std::vector<Member> all;

  private:
    task<void> listen(Stream& stream, Member& self) {
        std::string partial;
        while (true) {
            const Received bytes = co_await stream.receive();
            if (!bytes || bytes->empty()) {
                self.lost = !self.parted;
                break;
            }
            partial += as_text(*bytes);
            for (auto end = partial.find('\n'); end != std::string::npos; end = partial.find('\n')) {
                hear(self, partial.substr(0, end));
                partial.erase(0, end + 1);
            }
        }
        arrive(self);
    }

    void hear(Member& self, const std::string& line) {
        if (const auto said = line.find(": said "); said != std::string::npos) {
            self.heard.push_back(line.substr(said + 7));
        } else if (line.starts_with("* you are in " + self.room) ||
                   line.starts_with("* [" + self.room + "] ")) {
            arrive(self);
        } else if (line == "* goodbye") {
            self.parted = true;
        }
        CHECK_FALSE(line.starts_with("! "));
    }

    // It is in its room, or never will be.
    void arrive(const Member& self) {
        const auto index = static_cast<std::size_t>(self.number);
        if (arrived_[index]) return;
        arrived_[index] = true;
        if (++count_ == members) all_in_.set();
    }

    task<void> everybody_is_in(const Member& self) {
        if (self.lost) arrive(self);
        co_await all_in_.wait();
    }

    SimulatedNetwork& network_;
    event all_in_;
    std::vector<bool> arrived_ = std::vector<bool>(members);
    int count_ = 0;
};

/// What `listener` heard, but for what `other` said, who does not hear himself.
std::vector<std::string> without(const Member& listener, const Member& other) {
    std::vector<std::string> rest = listener.heard;
    std::erase_if(
        rest, [&](const std::string& said) { return said.starts_with(std::to_string(other.number) + ' '); });
    return rest;
}

void check_one_order(const std::vector<Member>& people) {
    for (const Member& one : people) {
        for (const Member& other : people) {
            if (one.lost || other.lost || one.room != other.room) continue;
            REQUIRE(without(one, other) == without(other, one));
        }
    }
}

void check_nothing_lost_or_doubled(const std::vector<Member>& people) {
    for (const Member& listener : people) {
        std::vector<std::string> expected;
        for (const Member& speaker : people) {
            if (speaker.number == listener.number || speaker.room != listener.room) continue;
            for (int i = 0; i < messages_each; ++i) {
                expected.push_back(std::to_string(speaker.number) + ' ' + std::to_string(i));
            }
        }
        std::vector<std::string> heard = listener.heard;
        std::ranges::sort(heard);
        std::ranges::sort(expected);
        REQUIRE(heard == expected);
    }
}

/// Runs one world to its end; the people, and what they heard.
std::vector<Member> simulate(std::uint64_t seed, double resets) {
    SimulatedNetwork network(world(seed, resets));
    std::vector<Member> result;
    {
        const auto application = chat::make_chat_app({});
        std::vector<std::unique_ptr<Site>> sites;
        std::vector<Reactor*> reactors;
        for (std::uint64_t i = 0; i <= seed % 3; ++i) {
            sites.push_back(std::make_unique<Site>(network, *application));
            reactors.push_back(&sites.back()->reactor());
        }
        Reactor outside({.waiting = Waiting::simulated, .network = &network});
        reactors.push_back(&outside);
        People people(network);
        scope lives(outside, OnFailure::ignore);
        for (Member& member : people.all) lives.spawn(people.live(member), "member");
        REQUIRE(network.run(reactors, [&] { return lives.size() == 0; }) == Reactor::End::stopped);
        for (const auto& site : sites) site->end();
        const auto over = [&] {
            return std::ranges::all_of(sites, [](const auto& site) { return site->is_over(); });
        };
        REQUIRE(network.run(reactors, over) == Reactor::End::stopped);
        result = std::move(people.all);
    }
    REQUIRE(network.leaks() == "");
    REQUIRE(thread_counts.frames_alive == 0);
    return result;
}

}  // namespace

TEST_CASE("in every world all hear all others, once, in one order a room") {
    for (int seed = 1; seed <= seeds(); ++seed) {
        CAPTURE(seed);
        const std::vector<Member> people = simulate(static_cast<std::uint64_t>(seed), 0);
        check_nothing_lost_or_doubled(people);
        check_one_order(people);
    }
}

TEST_CASE("in worlds where connections break, those that last still hear one order a room") {
    int lost = 0;
    for (int seed = 1; seed <= seeds(); ++seed) {
        CAPTURE(seed);
        const std::vector<Member> people = simulate(static_cast<std::uint64_t>(seed), 0.002);
        lost += static_cast<int>(std::ranges::count_if(people, &Member::lost));
        check_one_order(people);
    }
    CHECK(lost > 0);
}
