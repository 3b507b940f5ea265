// What echo and upper promise as streams of bytes, whatever their clients do.
#include <doctest/doctest.h>

#include <deque>

#include "tests/system/bytes.hpp"
#include "tests/system/client.hpp"
#include "tests/system/server_process.hpp"

namespace confab::system_tests {
namespace {

constexpr std::size_t mebibyte = 1024 * 1024;

TEST_CASE("echo gives back every value of a byte") {
    const ServerProcess server({.app = "echo"});
    Client client(server.address());
    client.send(every_byte());
    client.expect(every_byte());
    client.send(std::string(3, '\0'));
    client.expect(std::string(3, '\0'));
}

TEST_CASE("echo says nothing of its own") {
    const ServerProcess server({.app = "echo"});
    Client client(server.address());
    client.half_close();
    client.expect_end();
}

TEST_CASE("echo answers byte by byte") {
    const ServerProcess server({.app = "echo"});
    Client client(server.address());
    for (const char byte : every_byte()) {
        client.send({&byte, 1});
        client.expect({&byte, 1});
    }
}

TEST_CASE("echo passes on more than all buffers on the way can hold") {
    const ServerProcess server({.app = "echo"});
    Client client(server.address());
    const std::string bytes = noise(16 * mebibyte);
    client.send_while_receiving(bytes);
    client.half_close();
    const Rest rest = client.rest();
    CHECK((rest.bytes == bytes));
    CHECK(rest.ending == Ending::end_of_stream);
}

TEST_CASE("echo owes every byte that came before the end of the client's stream") {
    const ServerProcess server({.app = "echo"});
    const std::string bytes = noise(100'000);
    Client client(server.address());
    client.send(bytes);
    client.half_close();
    const Rest rest = client.rest();
    CHECK((rest.bytes == bytes));
    CHECK(rest.ending == Ending::end_of_stream);
}

TEST_CASE("echo keeps the order of requests that come without waiting for answers") {
    const ServerProcess server({.app = "echo"});
    Client client(server.address());
    std::string requests;
    for (int number = 0; number < 5000; ++number) requests += "request " + std::to_string(number) + "\n";
    client.send_while_receiving(requests);
    client.expect(requests);
}

TEST_CASE("echo waits for a client that does not read, and loses nothing") {
    const ServerProcess server({.app = "echo"});
    Client client(server.address(), {.receive_buffer = 65536});
    const std::string bytes = noise(16 * mebibyte);
    const std::size_t sent = client.send_until_stuck(bytes);
    CHECK(sent < bytes.size());  // the server did not take in what it could not give back
    client.half_close();
    const Rest rest = client.rest();
    CHECK((rest.bytes == bytes.substr(0, sent)));
    CHECK(rest.ending == Ending::end_of_stream);
}

TEST_CASE("clients are served in the order in which they came, when each leaves in turn") {
    const ServerProcess server({.app = "echo"});
    constexpr int count = 100;
    std::deque<Client> clients;
    for (int number = 0; number < count; ++number) {
        clients.emplace_back(server.address());
        clients.back().send("client " + std::to_string(number));
    }
    for (int number = 0; number < count; ++number) {
        clients.front().expect("client " + std::to_string(number));
        clients.pop_front();
    }
}

TEST_CASE("a client that resets its connection harms no other") {
    ServerProcess server({.app = "echo"});
    for (int number = 0; number < 20; ++number) {
        Client rude(server.address());
        rude.send(noise(50'000, 7));
        rude.reset();
        Client polite(server.address());
        polite.send("still there?");
        polite.expect("still there?");
    }
    server.stop();
}

TEST_CASE("clients that come and leave at once harm no other") {
    ServerProcess server({.app = "echo"});
    for (int number = 0; number < 50; ++number) {
        const Client polite(server.address());
        Client rude(server.address());
        rude.reset();
    }
    Client client(server.address());
    client.send("still there?");
    client.expect("still there?");
}

TEST_CASE("upper changes ASCII letters and nothing else") {
    const ServerProcess server({.app = "upper"});
    Client client(server.address());
    std::string expected = every_byte();
    for (char& byte : expected) {
        if (byte >= 'a' && byte <= 'z') byte = static_cast<char>(byte - 'a' + 'A');
    }
    client.send(every_byte());
    client.expect(expected);
}

TEST_CASE("upper passes on letters outside ASCII as they are, even cut in two") {
    const ServerProcess server({.app = "upper"});
    Client client(server.address());
    const std::string text =
        "stra\xc3\x9f"
        "e \xc3\xa9t\xc3\xa9 \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x99\x82";
    const std::string expected =
        "STRA\xc3\x9f"
        "E \xc3\xa9T\xc3\xa9 \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x99\x82";
    client.send(text);
    client.expect(expected);
    for (std::size_t at = 0; at < text.size(); ++at) {
        client.send(text.substr(at, 1));
        client.expect(expected.substr(at, 1));
    }
}

TEST_CASE("upper passes on invalid UTF-8 and NUL") {
    const ServerProcess server({.app = "upper"});
    Client client(server.address());
    client.send(std::string("a\0b\xff\xc3z\x80", 7));
    client.expect(std::string("A\0B\xff\xc3Z\x80", 7));
}

TEST_CASE("upper passes on more than all buffers on the way can hold") {
    const ServerProcess server({.app = "upper"});
    Client client(server.address());
    const std::string line = "the quick brown fox\n";
    client.send_while_receiving(times(400'000, line));
    client.half_close();
    const Rest rest = client.rest();
    CHECK((rest.bytes == times(400'000, "THE QUICK BROWN FOX\n")));
    CHECK(rest.ending == Ending::end_of_stream);
}

TEST_SUITE_BEGIN(needs::several_clients);

TEST_CASE("many clients are served at the same time") {
    const ServerProcess server({.app = "echo"});
    // A pool serves as many as it has threads or processes.
    const int count = strategy_under_test().serves_as_many_as_it_has ? 50 : 300;
    std::deque<Client> clients;
    for (int number = 0; number < count; ++number) clients.emplace_back(server.address());
    for (int round = 0; round < 3; ++round) {
        for (Client& client : clients) client.send("round " + std::to_string(round));
        for (Client& client : clients) client.expect("round " + std::to_string(round));
    }
}

TEST_CASE("a client that does not read keeps nobody waiting") {
    const ServerProcess server({.app = "echo"});
    Client stuck(server.address(), {.receive_buffer = 65536});
    const std::string bytes = noise(16 * mebibyte);
    const std::size_t sent = stuck.send_until_stuck(bytes);
    CHECK(sent > 0);
    Client client(server.address());
    client.send("am I served?");
    client.expect("am I served?");
}

TEST_SUITE_END();

}  // namespace
}  // namespace confab::system_tests
