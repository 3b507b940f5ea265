// Internal to bench: what the load driver is made of: the measured window, pseudo-random
// bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace confab::bench {

// Answers that a connection gets before anything counts: a young connection acknowledges every segment at
// once, and its server may still have been accepting others or starting threads.
constexpr std::uint64_t settled_after = 64;

// The part of a run that counts: opens after the warm-up, closes after the measured time or number of
// messages.
class Window {
  public:
    struct Limits {
        double warmup_s;
        double measured_s;
        std::uint64_t messages;  // 0: only the time ends the window
        int server_pid;          // 0: nobody's CPU is read
    };
    struct Figures {
        std::uint64_t messages;
        double seconds, server_cpu_s, load_cpu_s;
    };

    // The warm-up begins here: make it when every connection has settled.
    explicit Window(const Limits& limits);

    // Tells the time and the messages so far; true exactly when the window has closed. Cheap: call it once a
    // turn.
    [[nodiscard]] bool advance(std::uint64_t messages);

    [[nodiscard]] Figures figures() const;

  private:
    struct Sample {
        std::int64_t time_ns, server_cpu_ns, load_cpu_ns;
        std::uint64_t messages;
    };
    [[nodiscard]] Sample sample(std::int64_t time_ns, std::uint64_t messages) const;

    Limits limits_;
    std::int64_t opens_ns_, closes_ns_;
    bool open_ = false;
    Sample first_{}, last_{};
};

// `size` bytes that look random and are the same in every run.
std::vector<char> pattern_bytes(std::size_t size);

// A TCP socket, with TCP_NODELAY, bound to the `index`th of many loopback addresses: one address has 28,000
// ports. Exits with a message when there is none to be had.
int bound_socket(unsigned index);

// The number after an option, within bounds; exits 2 with a message that names the option.
std::uint64_t parse_number(std::string_view option, const char* text, std::uint64_t least,
                           std::uint64_t most);
double parse_seconds(std::string_view option, const char* text);

// Prints what failed and why, and ends the program.
[[noreturn]] void fail(std::string_view what, int error);

// As many descriptors as we may have.
void raise_descriptor_limit();

}  // namespace confab::bench
