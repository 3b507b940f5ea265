// Internal to tests: worlds on io_uring, each of whose features may be missing.
//
//     EVERY_URING("a sentence of behaviour") {  // World& world
//         ...
//     }
//
// runs its body with all of the features that this kernel has, with none, and without each of them, over TCP
// and over Unix sockets.
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "tests/reactor/every_mechanism.hpp"
#include "tests/reactor/kernel_sockets.hpp"

namespace confab::testing {

inline constexpr std::array uring_masks{
    "all",
    "none",
    "-defer_taskrun",
    "-defer_taskrun,-coop_taskrun",
    "-registered_ring",
    "-buffer_ring",
    "-incremental",
    "-multishot_receive",
    "-incremental,-multishot_receive",
    "-receive_cap",
    "-multishot_accept",
    "-cancel_by_fd",
};

/// False, and said aloud: this machine refuses io_uring.
bool has_uring();

void under_every_mask(void (*body)(World&));

/// `size` bytes that look random and differ from those of another `seed`.
std::string pattern(std::size_t size, unsigned seed);

/// Receives from `fd` for as long as it lives, or until the stream ends.
class Reader {
  public:
    Reader(World& world, int fd);

    std::size_t size() const { return text_.size(); }
    const std::string& text() const { return text_; }
    bool at_end() const { return at_end_; }

  private:
    void took();

    World& world_;
    std::string text_;
    bool at_end_ = false;
    Call receive_;
};

// The peer that is no reactor: plain calls, which do not wait for the reactor.

/// Sends all of `text`. Requires: it fits into the socket.
void send_raw(int fd, std::string_view text);
/// Sends as much of `text` as fits into the socket: how much that was.
std::size_t send_what_fits(int fd, std::string_view text);
/// True once `fd` has come to its end, orderly or not; what came before is skipped. False: not within a long
/// time.
bool has_ended(int fd);
/// Connects that many blocking sockets to `listener`.
std::vector<Fd> connect_raw(World& world, int listener, int count);

}  // namespace confab::testing

#define URING_BODY(sentence, body)                                      \
    static void body(confab::testing::World& world);                    \
    TEST_CASE(sentence) { confab::testing::under_every_mask(&(body)); } \
    static void body([[maybe_unused]] confab::testing::World& world)

#define EVERY_URING(sentence) URING_BODY(sentence, DOCTEST_ANONYMOUS(body_under_every_mask_))
