#include "clients/load/live_view.hpp"

#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <deque>
#include <string>
#include <string_view>
#include <system_error>

#include "clients/load/cpu_time.hpp"
#include "clients/load/report.hpp"
#include "coro/listener.hpp"

namespace confab::load {

namespace {

/// Keys come one by one and unseen; signals are still sent by their keys.
class RawTerminal {
  public:
    RawTerminal() {
        if (::tcgetattr(STDIN_FILENO, &before_) != 0)
            throw std::system_error(errno, std::generic_category(), "tcgetattr");
        termios raw = before_;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        if (::tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0)
            throw std::system_error(errno, std::generic_category(), "tcsetattr");
    }
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;
    ~RawTerminal() { ::tcsetattr(STDIN_FILENO, TCSANOW, &before_); }

  private:
    termios before_{};
};

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// One character for each of the latest values, as high as the value.
std::string sparkline(const std::deque<double>& values) {
    static constexpr std::array<const char*, 8> bars{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const double most = std::max(values.empty() ? 0.0 : *std::ranges::max_element(values), 1.0);
    std::string line;
    for (const double value : values) {
        line += bars[std::min<std::size_t>(static_cast<std::size_t>(value / most * bars.size()),
                                           bars.size() - 1)];
    }
    return line;
}

class LiveView final : public Observer {
  public:
    explicit LiveView(const LoadOptions& options)
        : options_(options), rate_(options.rate ? options.rate->rate_at(0) : 0) {}
    ~LiveView() override { erase(); }

    void connected() override {
        begun_ = before_ = Clock::now();
        cpu_before_ = cpu_time_of(options_.server);
        draw(Block{});
    }
    void measured(const Block& block) override { draw(block); }
    task<void> attend(Controls& controls) override;

  private:
    static constexpr std::size_t history_length = 60;
    static constexpr double rate_step = 1.1;

    void draw(const Block& block);
    void erase();
    std::string server_line();
    void press(std::string_view keys, Controls& controls);

    const LoadOptions& options_;
    const RawTerminal terminal_;
    double rate_;  // asked for
    Instant begun_{}, before_{};
    Duration cpu_before_{};
    std::deque<double> rates_, tails_;
    int lines_ = 0;  // on the screen
};

task<void> LiveView::attend(Controls& controls) {
    while (true) {
        const std::expected<int, std::error_code> ready = co_await poll_events(STDIN_FILENO, POLLIN);
        if (!ready) co_return;
        std::array<char, 16> keys{};
        const ssize_t size = ::read(STDIN_FILENO, keys.data(), keys.size());
        if (size <= 0) co_return;
        press({keys.data(), static_cast<std::size_t>(size)}, controls);
    }
}

// Several may have come at once.
void LiveView::press(std::string_view keys, Controls& controls) {
    constexpr std::size_t arrow_length = 3;
    while (!keys.empty()) {
        if (keys.front() == 'q') return controls.finish();
        const bool up = keys.starts_with("\033[A") || keys.starts_with("\033OA");
        const bool down = keys.starts_with("\033[B") || keys.starts_with("\033OB");
        if (rate_ > 0 && up) rate_ *= rate_step;
        if (rate_ > 0 && down) rate_ /= rate_step;
        if (rate_ > 0 && (up || down)) controls.change_rate(rate_);
        keys.remove_prefix(up || down ? arrow_length : 1);
    }
}

void LiveView::erase() {
    if (lines_ > 0) std::printf("\033[%dA\033[J", lines_);
    lines_ = 0;
    std::fflush(stdout);
}

std::string LiveView::server_line() {
    if (options_.server == 0) return "give --pid to see its processor time";
    const Instant now = Clock::now();
    const Duration cpu = cpu_time_of(options_.server);
    const double share = seconds(cpu - cpu_before_) / std::max(seconds(now - before_), 1e-3);
    before_ = now;
    cpu_before_ = cpu;
    return fmt::format("{:.0f} % of a core", 100 * share);
}

void LiveView::draw(const Block& block) {
    Histogram latency;
    latency.add(block.latency);
    const double rate = static_cast<double>(block.messages) / std::max(seconds(block.length), 1e-3);
    if (block.messages > 0) {
        rates_.push_back(rate);
        tails_.push_back(static_cast<double>(latency.at(0.99).count()));
        if (rates_.size() > history_length) rates_.pop_front();
        if (tails_.size() > history_length) tails_.pop_front();
    }
    const std::string asked = rate_ > 0 ? fmt::format(" of {:.0f} asked", rate_) : std::string();
    std::string text;
    text += fmt::format("  {:>6.1f} s   rate     {:.0f} messages/s{}\n", seconds(Clock::now() - begun_), rate,
                        asked);
    text += fmt::format("             latency  p50 {}   p99 {}\n", text_of(latency.at(0.5)),
                        text_of(latency.at(0.99)));
    text += fmt::format("             faults   {}\n", block.faults);
    text += fmt::format("             server   {}\n", server_line());
    text += "  rate       " + sparkline(rates_) + '\n';
    text += "  p99        " + sparkline(tails_) + '\n';
    text += rate_ > 0 ? "  [up, down: change the rate   q: end]\n" : "  [q: end]\n";
    erase();
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
    lines_ = static_cast<int>(std::ranges::count(text, '\n'));
}

}  // namespace

std::unique_ptr<Observer> make_live_view(const LoadOptions& options) {
    return std::make_unique<LiveView>(options);
}

}  // namespace confab::load
