// Public: how a process ended.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace confab::processes {

/// By a code, by a signal, or in a way that nobody can tell any more. Plain data.
class exit_status {
  public:
    /// Ended by itself with a code; the kernel keeps its lowest 8 bits.
    static constexpr exit_status of_code(int code) { return {Kind::code, code & 0xff}; }
    /// Ended by a signal.
    static constexpr exit_status of_signal(int number) { return {Kind::signal, number}; }
    /// Ended, but somebody else has taken the status: a waitpid(-1) elsewhere in the program, SIGCHLD
    /// ignored, or the launcher that was its parent is dead.
    static constexpr exit_status unknown() { return {Kind::unknown, 0}; }

    constexpr bool success() const { return kind_ == Kind::code && value_ == 0; }
    constexpr bool known() const { return kind_ != Kind::unknown; }

    /// 0 to 255; nothing when it did not end with a code.
    constexpr std::optional<int> code() const { return of(Kind::code); }
    /// The signal's number; nothing when it was not one.
    constexpr std::optional<int> signal() const { return of(Kind::signal); }

    /// The code, or minus the signal's number, as Python has it; nothing when unknown.
    constexpr std::optional<int> exitcode() const {
        if (!known()) return std::nullopt;
        return kind_ == Kind::code ? value_ : -value_;
    }

    /// "exit code 3", "signal 9 (Killed)", "unknown exit status".
    std::string text() const;

    friend constexpr bool operator==(const exit_status&, const exit_status&) = default;

  private:
    enum class Kind : std::uint8_t { code, signal, unknown };

    constexpr exit_status(Kind kind, int value) : kind_(kind), value_(value) {}
    constexpr std::optional<int> of(Kind kind) const {
        return kind_ == kind ? std::optional<int>(value_) : std::nullopt;
    }

    Kind kind_;
    int value_;
};

}  // namespace confab::processes
