// Internal to tests: one script against every strategy, whose clients must all see the same.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/system/strategy.hpp"
#include "tests/system/transcript.hpp"

namespace confab::system_tests {

// Talks to a fresh server and writes down all that its clients see - lines, bytes, and how each stream ends.
// It is deterministic by the contract alone: it never depends on how much fits where, or on who is faster.
using Script = std::function<void(const std::string& address, Transcript& transcript)>;

struct Scene {
    std::string app;
    std::string need = needs::nothing;
    std::vector<std::string> flags = {};
};

// Plays the script under every strategy that offers what the scene needs, and holds the transcripts against
// the one of the strategy that the program was started with. What differs is printed.
void compare(const Scene& scene, const Script& script);

}  // namespace confab::system_tests
