#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "clients/console.hpp"
#include "coro/listener.hpp"

namespace confab {

namespace {

class PipeConsole final : public Console {
  public:
    task<std::optional<std::string>> next_line() override {
        while (true) {
            if (const auto end = read_.find('\n'); end != std::string::npos) co_return take(end, 1);
            if (at_end_ && read_.empty()) co_return std::nullopt;
            if (at_end_) co_return take(read_.size(), 0);  // the last line may lack its end
            const auto ready = co_await poll_events(STDIN_FILENO, POLLIN);
            if (!ready && TaskContext::current()->stop_requested()) TaskContext::current()->throw_stop();
            read_more();
        }
    }

    void show(std::string_view line) override {
        std::fwrite(line.data(), 1, line.size(), stdout);
        std::fputc('\n', stdout);
        if (std::fflush(stdout) != 0)
            throw std::system_error(errno, std::generic_category(), "standard output");
    }

    bool is_interactive() const override { return false; }

  private:
    std::string take(std::size_t length, std::size_t end) {
        std::string line = read_.substr(0, length);
        read_.erase(0, length + end);
        return line;
    }

    void read_more() {
        std::array<char, 16 * 1024> buffer;
        const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
        if (count <= 0) {
            at_end_ = true;
            return;
        }
        read_.append(buffer.data(), static_cast<std::size_t>(count));
    }

    std::string read_;
    bool at_end_ = false;
};

}  // namespace

std::unique_ptr<Console> make_pipe_console() { return std::make_unique<PipeConsole>(); }

}  // namespace confab
