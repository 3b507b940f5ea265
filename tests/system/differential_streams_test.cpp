// Difficult clients of echo and upper: under every strategy they must see the same.
#include <doctest/doctest.h>

#include <string>

#include "tests/system/bytes.hpp"
#include "tests/system/differential.hpp"

namespace confab::system_tests {
namespace {

constexpr std::size_t mebibyte = 1024 * 1024;

// A client without any difficulty, for after the difficult one.
void probe(const std::string& address, Transcript& transcript) {
    Client client(address);
    client.send("probe\n");
    client.half_close();
    transcript.note_rest(client);
}

TEST_CASE("bytes that come one at a time") {
    compare({.app = "upper"}, [](const std::string& address, Transcript& transcript) {
        Client client(address);
        for (const char byte : std::string("one byte at a time\n")) client.send({&byte, 1});
        client.half_close();
        transcript.note_rest(client);
    });
}

TEST_CASE("a burst of requests, and the end of the stream behind it") {
    compare({.app = "upper"}, [](const std::string& address, Transcript& transcript) {
        Client client(address);
        std::string burst;
        for (int number = 0; number < 200; ++number) burst += "request " + std::to_string(number) + "\n";
        client.send(burst);
        client.half_close();
        transcript.note_rest(client);
    });
}

TEST_CASE("the end of the stream and nothing before it") {
    compare({.app = "echo"}, [](const std::string& address, Transcript& transcript) {
        Client client(address);
        client.half_close();
        transcript.note_rest(client);
    });
}

TEST_CASE("the end of the stream in the middle of what comes back") {
    compare({.app = "echo"}, [](const std::string& address, Transcript& transcript) {
        Client client(address);
        const std::string bytes = noise(8 * mebibyte);
        client.send_while_receiving(bytes);
        client.half_close();
        transcript.note_rest_against(client, bytes);
    });
}

TEST_CASE("a reader so slow that the server has to wait for it") {
    compare({.app = "echo"}, [](const std::string& address, Transcript& transcript) {
        Client client(address, {.receive_buffer = 65536});
        const std::string bytes = noise(16 * mebibyte);
        const std::size_t sent = client.send_until_stuck(bytes);
        client.half_close();
        transcript.note_rest_against(client, std::string_view(bytes).substr(0, sent));
    });
}

TEST_CASE("a reset, with bytes on the way in both directions") {
    compare({.app = "echo"}, [](const std::string& address, Transcript& transcript) {
        Client client(address);
        client.send(noise(100'000));
        client.reset();
        probe(address, transcript);
    });
}

TEST_CASE("a reset while the server waits for its reader") {
    compare({.app = "echo"}, [](const std::string& address, Transcript& transcript) {
        Client client(address, {.receive_buffer = 65536});
        transcript.note(client.send_until_stuck(noise(16 * mebibyte)) > 0 ? "stuck" : "refused");
        client.reset();
        probe(address, transcript);
    });
}

TEST_CASE("a close with unread bytes, while the server waits for its reader") {
    compare({.app = "echo"}, [](const std::string& address, Transcript& transcript) {
        Client client(address, {.receive_buffer = 65536});
        transcript.note(client.send_until_stuck(noise(16 * mebibyte)) > 0 ? "stuck" : "refused");
        client.close();
        probe(address, transcript);
    });
}

TEST_CASE("silence, and then a close") {
    for (const char* app : {"echo", "upper"}) {
        compare({.app = app}, [](const std::string& address, Transcript& transcript) {
            Client client(address);
            client.close();
            probe(address, transcript);
        });
    }
}

TEST_CASE("clients that come and leave at once, politely and rudely") {
    compare({.app = "echo"}, [](const std::string& address, Transcript& transcript) {
        for (int number = 0; number < 30; ++number) {
            const Client polite(address);
            Client rude(address);
            rude.reset();
        }
        probe(address, transcript);
    });
}

}  // namespace
}  // namespace confab::system_tests
