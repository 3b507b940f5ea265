// Public: where a person's lines come from and where the server's go.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "coro/task.hpp"

namespace confab {

/// One thread, the reactor's.
class Console {
  public:
    Console() = default;
    Console(const Console&) = delete;
    Console& operator=(const Console&) = delete;
    virtual ~Console() = default;

    /// The next line that was typed, without its end; nothing when there are no more. Throws task_canceled.
    virtual task<std::optional<std::string>> next_line() = 0;

    /// Shows a line from the server, or a word of the client's own.
    virtual void show(std::string_view line) = 0;

    /// A person sits there: worth reconnecting for.
    virtual bool is_interactive() const = 0;
};

/// Plain lines from standard input and to standard output.
std::unique_ptr<Console> make_pipe_console();

/// A terminal: the line being typed stays whole whatever comes in, can be edited, and what was typed before
/// is there on arrow-up. Nicks have colours unless NO_COLOR is set or the terminal is dumb. One at a time in
/// a process.
std::unique_ptr<Console> make_terminal_console();

}  // namespace confab
