// The limits of any server: what happens at them to who went too far, and that nobody else feels it.
#include <doctest/doctest.h>

#include <deque>
#include <filesystem>
#include <iterator>

#include "tests/system/client.hpp"
#include "tests/system/patience.hpp"
#include "tests/system/server_process.hpp"

namespace confab::system_tests {
namespace {

// Whoever gets these bytes leaves, which makes room for others; the ones that stay have got nothing at all.
void take_as_they_come(std::deque<Client>& clients, const std::string& bytes) {
    const Deadline deadline;
    while (!clients.empty()) {
        std::vector<pollfd> watched;
        for (const Client& client : clients) {
            watched.push_back({.fd = client.fd(), .events = POLLIN, .revents = 0});
        }
        if (!wait_for_any(watched, deadline)) return;
        std::erase_if(clients, [&](Client& client) {
            return client.has_news() && client.receive(bytes.size()) == bytes;
        });
    }
}

std::size_t descriptors_held(pid_t pid) {
    const std::filesystem::directory_iterator descriptors("/proc/" + std::to_string(pid) + "/fd");
    return static_cast<std::size_t>(std::distance(begin(descriptors), end(descriptors)));
}

TEST_CASE("a client with nothing to say is sent away when its idle time is over") {
    const ServerProcess server({.app = "echo", .flags = {"--idle-timeout", "1"}});
    Client client(server.address());
    client.send("here");
    client.expect("here");
    client.expect_end();
}

TEST_CASE("a client that never says a first byte is sent away") {
    const ServerProcess server({.app = "echo", .flags = {"--first-byte-timeout", "1"}});
    Client client(server.address());
    client.expect_end();
}

TEST_SUITE_BEGIN(needs::several_clients);

TEST_CASE("the time to the first byte is no matter to who has said one") {
    const ServerProcess server({.app = "echo", .flags = {"--first-byte-timeout", "1"}});
    Client speaker(server.address());
    speaker.send("x");
    speaker.expect("x");
    Client silent(server.address());
    silent.expect_end();
    speaker.send("still here");
    speaker.expect("still here");
}

TEST_CASE(
    "parity 120: connections over the limit wait, the server says so, and they are served when others "
    "leave") {
    ServerProcess server({.app = "echo", .flags = {"--max-connections", "3"}});
    std::deque<Client> clients;
    for (int number = 0; number < 3; ++number) {
        clients.emplace_back(server.address());
        clients.back().send("in");
        clients.back().expect("in");
    }
    std::deque<Client> waiting;
    for (int number = 0; number < 5; ++number) {
        waiting.emplace_back(server.address());
        waiting.back().send("me too");
    }
    server.child().wait_for_said([](const std::string& line) { return line.contains("--max-connections"); },
                                 "that there are as many connections as allowed");
    clients.front().send("still served");
    clients.front().expect("still served");
    for (Client& client : waiting) CHECK(!client.has_news());
    clients.clear();
    // Three are served, and the next ones when these have left.
    take_as_they_come(waiting, "me too");
    CHECK(waiting.empty());
    server.stop();
}

TEST_SUITE_END();

TEST_SUITE_BEGIN(needs::clients_that_share_a_process);

TEST_CASE(
    "parity 120: out of descriptors the server says so, loses nobody, and goes on when some have left") {
    // What it holds before anybody comes, as a server like it shows, and a few more.
    const std::size_t at_rest = descriptors_held(ServerProcess({.app = "echo"}).child().pid());
    ServerProcess server({.app = "echo", .descriptor_limit = at_rest + 25});
    std::deque<Client> clients;
    for (int number = 0; number < 80; ++number) {
        clients.emplace_back(server.address());
        clients.back().send("client " + std::to_string(number));
    }
    server.child().wait_for_said([](const std::string& line) { return line.contains("accepting pauses"); },
                                 "that accepting pauses");
    take_as_they_come(clients, "client ");
    CHECK(clients.empty());
    server.stop();
}

TEST_SUITE_END();

}  // namespace
}  // namespace confab::system_tests
