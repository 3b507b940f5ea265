// Internal to tests: what a scripted client saw, as text that can be compared and read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/system/client.hpp"

namespace confab::system_tests {

class Transcript {
  public:
    void note(std::string text) { lines_.push_back(std::move(text)); }

    // The next lines that the client gets.
    void note_lines(Client& client, int count, Client::Where where = Client::Where::current());

    // Everything that the client gets up to the end, line by line, and how the stream ends.
    void note_rest(Client& client, Client::Where where = Client::Where::current());

    // The same for a stream of bytes too long to be read by people: whether they are the expected ones.
    void note_rest_against(Client& client, std::string_view expected,
                           Client::Where where = Client::Where::current());

    const std::vector<std::string>& lines() const { return lines_; }

  private:
    std::vector<std::string> lines_;
};

// Empty exactly when they are equal; else the lines of both, marked `-` (only expected), `+` (only got) or `
// ` (both).
std::string difference(const Transcript& expected, const Transcript& got);

}  // namespace confab::system_tests
