#include "clients/load/bystanders.hpp"

#include <algorithm>
#include <exception>

#include "coro/sleep.hpp"
#include "coro/stream.hpp"

namespace confab::load {

namespace {

// As many as may be in the making at once: more than a listener's queue holds would only time out.
constexpr std::ptrdiff_t most_connecting = 256;
constexpr Duration dribble_pause = std::chrono::seconds(1);
constexpr Duration reading_pause = std::chrono::milliseconds(250);

}  // namespace

Bystanders::Bystanders(BystanderCounts counts, Bytes message, Bytes flood, Wiring wiring)
    : counts_(counts),
      message_(message),
      flood_(flood),
      wiring_(wiring),
      connecting_(most_connecting),
      waited_for_(counts.all()),
      settled_(counts.all() == 0) {}

void Bystanders::spawn_all(scope& tasks) {
    for (std::size_t i = 0; i < counts_.idle; ++i) tasks.spawn(run(&Bystanders::be_idle), "idle");
    for (std::size_t i = 0; i < counts_.dribblers; ++i) tasks.spawn(run(&Bystanders::dribble), "dribbler");
    for (std::size_t i = 0; i < counts_.slow_readers; ++i)
        tasks.spawn(run(&Bystanders::read_slowly), "slow reader");
}

task<void> Bystanders::run(Behaviour behave) {
    co_await connecting_.acquire();
    const std::expected<int, std::error_code> fd = co_await wiring_.dialer.dial();
    connecting_.release();
    bool settled = false;
    if (fd) {
        Stream stream(wiring_.reactor, *fd);
        try {
            co_await (this->*behave)(stream, settled);
        } catch (const task_canceled&) {
            // Closed all the same.
        }
        co_await stream.close();
    }
    if (!settled) one_less_to_wait_for();
}

// An idle one that the server does not get round to is waited for by nobody but the worker's own limit.
task<void> Bystanders::be_idle(Stream& stream, bool& settled) {
    const Sent sent = co_await stream.send(message_);
    if (!sent) co_return;
    std::size_t missing = message_.size();
    while (missing > 0) {
        const Received bytes = co_await stream.receive();
        if (!bytes || bytes->empty()) co_return;
        missing -= std::min(missing, bytes->size());
    }
    is_present(settled);
    [[maybe_unused]] const Received end = co_await stream.receive();
}

task<void> Bystanders::dribble(Stream& stream, bool& settled) {
    is_present(settled);
    while (true) {
        const Sent sent = co_await stream.send(message_.first(1));
        if (!sent) co_return;
        co_await sleep(dribble_pause);
    }
}

task<void> Bystanders::read_slowly(Stream& stream, bool& settled) {
    is_present(settled);
    scope writer;
    std::exception_ptr canceled;
    try {
        writer.spawn(send_all_the_time(stream), "sending");
        while (true) {
            const Received bytes = co_await stream.receive();
            if (!bytes || bytes->empty()) break;
            co_await sleep(reading_pause);
        }
    } catch (...) {
        canceled = std::current_exception();
    }
    writer.request_stop();
    co_await writer.join();
    if (canceled) std::rethrow_exception(canceled);
}

task<void> Bystanders::send_all_the_time(Stream& stream) {
    while (true) {
        const Sent sent = co_await stream.send(flood_);
        if (!sent) co_return;
    }
}

void Bystanders::is_present(bool& settled) {
    settled = true;
    ++present_;
    one_less_to_wait_for();
}

void Bystanders::one_less_to_wait_for() {
    if (--waited_for_ == 0) settled_.set();
}

}  // namespace confab::load
