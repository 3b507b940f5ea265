// Internal to clients: messages that come back as they were sent, or in capital letters.
#pragma once

#include <memory>

#include "clients/load/dialogue.hpp"
#include "clients/load/pattern.hpp"

namespace confab::load {

/// `size`: bytes of a message, no multiple of Pattern::period. `first`: number of this worker's first
/// connection, which says where its messages begin. `pattern` gives all messages that are under way at once
/// in one piece, and what a receive lends; it outlives the dialogues.
std::unique_ptr<Dialogues> make_echo_dialogues(const Pattern& pattern, std::size_t size, std::size_t first);

}  // namespace confab::load
