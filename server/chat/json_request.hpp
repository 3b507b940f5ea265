// Internal to server: what a client of chat.v1 asks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace confab::chat {

/// A message of a client: one flat object. Members that mean nothing are skipped; so are those that are null.
struct JsonRequest {
    std::string type;
    std::string id;  ///< the client's, to know the answer by
    std::string room;
    std::string nick;
    std::string text;
    std::string epoch;
    std::string once;  ///< the client's, for what is not to be said twice
    std::optional<std::uint64_t> seq{};
    std::optional<std::uint64_t> count{};

    /// Bytes of an id and of `once`, at most.
    static constexpr std::size_t longest_id = 64;

    /// Reads `message`. What is wrong with it, in words; empty when nothing is. `id` is there in any case, if
    /// it came before the fault.
    std::string_view read(std::string_view message);
};

}  // namespace confab::chat
