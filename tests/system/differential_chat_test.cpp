// Difficult members of the chat: under every strategy they must see the same.
#include <doctest/doctest.h>

#include <regex>
#include <string>

#include "tests/system/bytes.hpp"
#include "tests/system/differential.hpp"
#include "tests/system/member.hpp"

namespace confab::system_tests {
namespace {

constexpr std::size_t mebibyte = 1024 * 1024;

// A room's positions are written EPOCH/SEQ, and every run of the server is another epoch.
std::string without_epoch(const std::string& line) {
    static const std::regex position("[0-9a-z]+/([0-9]+)");
    return std::regex_replace(line, position, "EPOCH/$1");
}

TEST_CASE("greeting, and then silence and a close") {
    compare({.app = "chat", .need = needs::chat}, [](const std::string& address, Transcript& transcript) {
        Client client(address);
        transcript.note_lines(client, 1);
        client.half_close();
        transcript.note_rest(client);
    });
}

TEST_CASE("lines that come byte by byte") {
    compare({.app = "chat", .need = needs::chat}, [](const std::string& address, Transcript& transcript) {
        Client client(address);
        for (const char byte : std::string("/nick alice\r\n/ping \xc3\xa9\n/quit\n")) client.send({&byte, 1});
        transcript.note_rest(client);
    });
}

TEST_CASE("every command in one burst, and the end of the stream behind it") {
    compare({.app = "chat", .need = needs::chat}, [](const std::string& address, Transcript& transcript) {
        Client client(address);
        client.send(
            "/help\n/nick alice\n/nick\n/nick a b\nhello\n//slash\n/me waves\n/topic\n/topic "
            "tea\n/topic\n/who\n"
            "/rooms\n/join tea\n/join\n/who\n/who lobby\n/who nowhere\n/msg nobody hello\n/msg alice to "
            "myself\n"
            "/msg\n/part\n/part tea\n/part nowhere\n/rooms\n/ping\n/ping 1 2\n/frobnicate\n/\n\n \n/ping "
            "last");
        client.half_close();
        transcript.note_rest(client);
    });
}

TEST_CASE("lines after /quit") {
    compare({.app = "chat", .need = needs::chat}, [](const std::string& address, Transcript& transcript) {
        Client client(address);
        client.send("/quit\n/ping too late\n");
        transcript.note_rest(client);
    });
}

TEST_CASE("lines longer than allowed, whole and cut short by the end") {
    compare({.app = "chat", .need = needs::chat, .flags = {"--max-line", "64"}},
            [](const std::string& address, Transcript& transcript) {
                Client client(address);
                client.send("/ping fits\n" + std::string(64, 'a') + "\n" + std::string(65, 'b') +
                            "\r\n/ping between\n" + std::string(mebibyte, 'c') + "\n/ping after\n" +
                            std::string(100'000, 'd'));
                client.half_close();
                transcript.note_rest(client);
            });
}

TEST_CASE("lines that are no text") {
    compare({.app = "chat", .need = needs::chat}, [](const std::string& address, Transcript& transcript) {
        Client client(address);
        std::string lines = "/ping first\n";
        for (const char byte : every_byte()) {
            if (byte != '\n' && byte != '/') lines += std::string("byte ") + byte + "\n";
        }
        client.send(lines + "\xf0\x9f\x99\x82\n\xf0\x9f\x99\n\xed\xa0\x80\n/ping last \xf0\x9f");
        client.half_close();
        transcript.note_rest(client);
    });
}

TEST_CASE("a conversation that ends in a reset") {
    compare({.app = "chat", .need = needs::chat_with_several_clients},
            [](const std::string& address, Transcript& transcript) {
                Member alice(address, "alice");
                Member bob(address, "bob");
                settle({&alice, &bob});
                alice.say("hello");
                transcript.note_lines(bob, 1);
                bob.say("//hello to you");
                transcript.note_lines(alice, 1);
                bob.send_line("/me waves");
                transcript.note_lines(alice, 1);
                bob.send_line("/msg alice psst");
                transcript.note_lines(alice, 1);
                bob.send_line("/topic tea");
                transcript.note_lines(alice, 1);
                bob.send_line("/nick carol");
                transcript.note_lines(alice, 1);
                bob.reset();
                transcript.note_lines(alice, 1);
                for (const std::string& line : alice.ask("/history 2")) transcript.note(without_epoch(line));
                alice.send_line("/quit");
                transcript.note_rest(alice);
            });
}

TEST_CASE("a last line without its end, then a half-close, seen by another") {
    compare({.app = "chat", .need = needs::chat_with_several_clients},
            [](const std::string& address, Transcript& transcript) {
                Member alice(address, "alice");
                Member bob(address, "bob");
                settle({&alice, &bob});
                alice.send("one\ntwo\xff\nthree");
                alice.half_close();
                transcript.note_lines(bob, 3);
                transcript.note_rest(alice);
                bob.half_close();
                transcript.note_rest(bob);
            });
}

}  // namespace
}  // namespace confab::system_tests
