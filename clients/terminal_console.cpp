#include <editline/readline.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <deque>

#include "clients/console.hpp"
#include "clients/paint.hpp"
#include "coro/listener.hpp"

namespace confab {

namespace {

constexpr const char* prompt = "> ";
constexpr int prompt_width = 2;
constexpr int remembered_lines = 500;

// libedit is a library of globals: its callback knows no object.
class TerminalConsole;
TerminalConsole* the_terminal = nullptr;

/// Columns that the first `bytes` bytes of `text` take on the terminal.
int columns_of(const char* text, std::size_t bytes) {
    int columns = 0;
    std::mbstate_t state{};
    while (bytes > 0) {
        wchar_t character = 0;
        const std::size_t length = std::mbrtowc(&character, text, bytes, &state);
        if (length == 0 || length > bytes) return columns;  // a NUL, or not a character
        columns += std::max(wcwidth(character), 0);
        text += length;
        bytes -= length;
    }
    return columns;
}

int terminal_width() {
    winsize size{};
    return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool wants_colours() {
    const char* const terminal = std::getenv("TERM");
    const char* const refused = std::getenv("NO_COLOR");  // no-color.org
    return terminal != nullptr && std::string_view(terminal) != "dumb" &&
           (refused == nullptr || *refused == '\0');
}

class TerminalConsole final : public Console {
  public:
    TerminalConsole() {
        the_terminal = this;
        if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX == 1) std::setlocale(LC_CTYPE, "C.UTF-8");
        using_history();
        stifle_history(remembered_lines);
        take_keys();
    }
    ~TerminalConsole() override {
        erase_typed_line();
        rl_callback_handler_remove();
        std::fflush(stdout);
        the_terminal = nullptr;
    }

    task<std::optional<std::string>> next_line() override {
        while (lines_.empty()) {
            if (at_end_) co_return std::nullopt;
            const auto ready = co_await poll_events(STDIN_FILENO, POLLIN);
            if (!ready && TaskContext::current()->stop_requested()) TaskContext::current()->throw_stop();
            rl_callback_read_char();
        }
        std::string line = std::move(lines_.front());
        lines_.pop_front();
        co_return line;
    }

    // Takes the line that is being typed off the screen, and puts it back below the new one.
    void show(std::string_view line) override {
        erase_typed_line();
        const std::string painted = colours_ ? paint(line) : std::string(line);
        std::fwrite(painted.data(), 1, painted.size(), stdout);
        std::fputs("\r\n", stdout);
        std::fflush(stdout);
        rl_forced_update_display();
    }

    bool is_interactive() const override { return true; }

  private:
    static void take_keys() {
        rl_callback_handler_install(prompt, [](char* line) { the_terminal->typed(line); });
    }

    void typed(char* text) {
        if (text == nullptr) {  // Ctrl-D
            at_end_ = true;
            return;
        }
        if (*text != '\0') {
            add_history(text);
            lines_.emplace_back(text);
        }
        std::free(text);
        take_keys();  // anew after each line, or libedit leaves the terminal in line mode and would wait for
                      // all of one
    }

    void erase_typed_line() {
        const int rows_above =
            (prompt_width + columns_of(rl_line_buffer, static_cast<std::size_t>(rl_point))) /
            terminal_width();
        if (rows_above > 0) std::printf("\033[%dA", rows_above);
        std::fputs("\r\033[J", stdout);
    }

    std::deque<std::string> lines_;  // typed and not asked for yet; one at most, in practice
    const bool colours_ = wants_colours();
    bool at_end_ = false;
};

}  // namespace

std::unique_ptr<Console> make_terminal_console() { return std::make_unique<TerminalConsole>(); }

}  // namespace confab
