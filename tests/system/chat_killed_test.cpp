// The chat over several processes, while these are killed one after the other.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/system/children.hpp"
#include "tests/system/patience.hpp"
#include "tests/system/server_process.hpp"
#include "tests/system/unique_fd.hpp"

namespace confab::system_tests {
namespace {

using Lines = std::vector<std::string>;

// How many processes are killed: the environment's CONFAB_KILLS, or some.
int kills() {
    const char* const wanted = std::getenv("CONFAB_KILLS");
    return wanted != nullptr ? std::atoi(wanted) : 40;
}

// Somebody in the room, whose connection may go at any moment: then he comes back under the same name.
class Visitor {
  public:
    Visitor(const std::string& address, std::string nick)
        : port_(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)))),
          nick_(std::move(nick)) {}

    bool is_open() const { return socket_.is_open(); }
    const std::string& nick() const { return nick_; }

    // Is in the room when it returns. His name is free again as soon as the others know of his end.
    void come_back() {
        const Deadline deadline;
        while (true) {
            REQUIRE(deadline.milliseconds_left() > 0);
            if (!is_open()) connect();
            if (!say("/nick " + nick_ + "\n/ping nick") || !hear_until("* pong nick")) continue;
            const bool taken = std::ranges::any_of(
                heard_, [](const std::string& line) { return line.ends_with("is taken"); });
            heard_.clear();
            if (taken) continue;
            if (say("/join war\n/part lobby\n/ping in") && hear_until("* pong in")) break;
        }
        heard_.clear();
    }

    // False: the connection has gone.
    bool say(const std::string& lines) {
        if (!is_open()) return false;
        const std::string bytes = lines + '\n';
        if (::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size())) {
            return true;
        }
        socket_.close();
        return false;
    }

    // Hears up to and with a line that ends so; false: the connection has gone before.
    bool hear_until(const std::string& end) {
        const Deadline deadline;
        while (is_open()) {
            for (std::size_t at = partial_.find('\n'); at != std::string::npos; at = partial_.find('\n')) {
                heard_.push_back(partial_.substr(0, at));
                partial_.erase(0, at + 1);
                if (heard_.back().ends_with(end)) return true;
            }
            REQUIRE_MESSAGE(wait_for(socket_.get(), POLLIN, deadline), nick_ << " never heard " << end);
            char buffer[16 * 1024];
            const ssize_t size = ::recv(socket_.get(), buffer, sizeof buffer, 0);
            if (size > 0) {
                partial_.append(buffer, static_cast<std::size_t>(size));
            } else if (size == 0 || errno != EINTR) {
                socket_.close();
            }
        }
        return false;
    }

    // What was said in the room since the last time.
    Lines take_said() {
        Lines said;
        for (const std::string& line : heard_) {
            if (line.starts_with("[war] ")) said.push_back(line.substr(6));
        }
        heard_.clear();
        return said;
    }

  private:
    void connect() {
        partial_.clear();
        heard_.clear();
        socket_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port_);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    }

    std::uint16_t port_;
    std::string nick_;
    UniqueFd socket_;
    std::string partial_;
    Lines heard_;
};

bool is_prefix(const Lines& beginning, const Lines& all) {
    return beginning.size() <= all.size() && std::equal(beginning.begin(), beginning.end(), all.begin());
}

}  // namespace

TEST_SUITE_BEGIN(needs::several_processes);

TEST_CASE("processes are killed: nobody else misses, mishears or waits, and names of the dead are free") {
    constexpr int lines_each = 5;
    ServerOptions options{.app = "chat", .flags = {"--max-restart-pause", "0"}};
    // As few processes as will do, where each client takes one: there are seven at a time.
    if (strategy_under_test().serves_as_many_as_it_has) {
        options.strategy = strategy_under_test();
        options.strategy->flags.back() = "7";
    }
    ServerProcess server(options);
    std::deque<Visitor> speakers;
    std::deque<Visitor> listeners;
    for (int i = 0; i < 3; ++i) {
        speakers.emplace_back(server.address(), "s" + std::to_string(i));
        listeners.emplace_back(server.address(), "l" + std::to_string(i));
    }
    const unsigned seed = std::random_device{}();
    CAPTURE(seed);
    std::mt19937 random(seed);
    int compared = 0;
    for (int round = 0; round < kills(); ++round) {
        CAPTURE(round);
        for (auto* const group : {&speakers, &listeners}) {
            for (Visitor& visitor : *group) {
                if (!visitor.is_open()) visitor.come_back();
            }
        }
        for (Visitor& listener : listeners) listener.take_said();  // of the comings and goings since

        // In the middle of it, one is killed; perhaps while members are on their way to it, or from it.
        if (strategy_under_test().number_of_processes && random() % 2 == 0) server.child().signal(SIGHUP);
        const int moment = static_cast<int>(random() % (speakers.size() * lines_each));
        int lines = 0;
        std::map<std::string, int> sent;
        for (int number = 0; number < lines_each; ++number) {
            for (Visitor& speaker : speakers) {
                if (lines++ == moment) {
                    const std::vector<Stranger> processes = children_of(server.child().pid());
                    if (!processes.empty()) processes[random() % processes.size()].kill();
                }
                if (speaker.say(std::to_string(round) + '.' + std::to_string(number))) ++sent[speaker.nick()];
            }
        }
        // Whose answer comes has been heard: what he said before that is accepted.
        std::set<std::string> accepted;
        for (Visitor& speaker : speakers) {
            if (speaker.say("/ping said") && speaker.hear_until("* pong said"))
                accepted.insert(speaker.nick());
        }
        // A last word. Who has got that has got all that came before.
        const std::string last_word = "mark " + std::to_string(round);
        Visitor marker(server.address(), "marker");
        do marker.come_back();
        while (!marker.say(last_word + "\n/ping marked") || !marker.hear_until("* pong marked"));

        Lines all;
        std::vector<Lines> beginnings;
        for (Visitor& listener : listeners) {
            const bool heard_all = listener.hear_until("marker: " + last_word);
            Lines said = listener.take_said();
            if (!heard_all) {
                beginnings.push_back(std::move(said));
            } else if (all.empty()) {
                all = std::move(said);
            } else {
                CHECK(said == all);
                ++compared;
            }
        }
        if (all.empty()) continue;  // all listeners were in the process that was killed
        for (const Lines& beginning : beginnings) CHECK(is_prefix(beginning, all));
        for (const Visitor& speaker : speakers) {
            Lines expected;
            Lines heard;
            for (int number = 0; number < sent[speaker.nick()]; ++number)
                expected.push_back(speaker.nick() + ": " + std::to_string(round) + '.' +
                                   std::to_string(number));
            std::ranges::copy_if(all, std::back_inserter(heard),
                                 [&](const std::string& line) { return line.starts_with(speaker.nick()); });
            if (accepted.contains(speaker.nick())) {
                CHECK(heard == expected);
            } else {
                CHECK(is_prefix(heard, expected));
            }
        }
    }
    CHECK(compared > 0);
    server.stop();
}

TEST_SUITE_END();

}  // namespace confab::system_tests
