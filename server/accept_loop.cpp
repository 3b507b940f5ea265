#include "server/accept_loop.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "coro/listener.hpp"
#include "coro/sleep.hpp"
#include "coro/stream.hpp"
#include "reactor/accept_errors.hpp"
#include "server/feed.hpp"

namespace confab {

namespace {

// Nobody tells when a descriptor becomes free somewhere in the system, so accepting is tried again after a
// while, at first soon, then less often.
constexpr Duration shortest_pause = std::chrono::milliseconds(10);
constexpr Duration longest_pause = std::chrono::milliseconds(500);

bool is_exhaustion(const std::error_code& error) {
    return error == std::errc::too_many_files_open || error == std::errc::too_many_files_open_in_system ||
           error == std::errc::no_buffer_space || error == std::errc::not_enough_memory;
}

// Nobody is woken for more while it does not even wait.
constexpr std::size_t most_at_the_last_look = 16;

// Slots that other processes give back are found by looking.
constexpr Duration look_for_slots_every = std::chrono::milliseconds(20);

// A connection that is left to others is looked at so often, so many times before it is taken after all: they
// have a tenth of a second to come for it, or do not run at all. Once that has happened, the next ones are
// taken with the first look, until the others are seen to take some.
constexpr Duration look_at_others_every = std::chrono::milliseconds(10);
constexpr unsigned most_looks_at_others = 10;

// While it lives, the reactor is going to hear from outside: of a slot that another one gives back, or of the
// drain. With nothing else to do it would take its own waiting for a deadlock.
class Hold {
  public:
    explicit Hold(Reactor& reactor) : reactor_(reactor) { reactor_.hold(); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    ~Hold() { reactor_.release_hold(); }

  private:
    Reactor& reactor_;
};

}  // namespace

SlotQueue::FreedJob::FreedJob(SlotQueue& owner)
    : Job([](Job& job) noexcept {
          SlotQueue& self = static_cast<FreedJob&>(job).queue;
          self.slots_.acknowledge(self.asker_);
          self.waiting_.wake_all();
      }),
      queue(owner) {}

SlotQueue::SlotQueue(ConnectionSlots& slots, Reactor& reactor)
    : slots_(slots), freed_(*this), asker_(reactor, freed_) {}

SlotQueue::~SlotQueue() { slots_.forget(asker_); }

task<bool> SlotQueue::take() {
    static constexpr WaitKind kind = WaitList::kind("connection slot");
    if (slots_.take(asker_)) co_return true;
    spdlog::warn("as many connections as allowed (--max-connections): accepting pauses");
    const Hold until_told(TaskContext::current()->reactor());
    try {
        do {
            if (slots_.shared_between_processes()) {
                co_await sleep(look_for_slots_every);
            } else {
                co_await WaitList::Awaiter(waiting_, kind, false, std::source_location::current());
            }
        } while (!slots_.take(asker_));
    } catch (const task_canceled&) {
        co_return false;
    }
    spdlog::info("accepting again");
    co_return true;
}

// First the connection, then its slot: a reactor to which nobody comes keeps no slot from the others.
task<int> AcceptLoop::next() {
    const int fd = co_await next_without_slot();
    const bool has_slot = co_await slots_.take();
    if (!has_slot) {
        co_await close_descriptor(fd);
        TaskContext::current()->throw_stop();
    }
    co_return fd;
}

task<std::expected<int, std::error_code>> AcceptLoop::try_next() {
    if (kind_ == Source::Kind::listener) {
        const auto accepted = co_await accept(source_, look_again_after());
        if (accepted || accepted.error() != std::errc::timed_out) co_return accepted;
        Fd robbed(::accept4(source_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!robbed) {
            const int error = is_error_of_one_connection(errno) ? EAGAIN : errno;
            co_return std::unexpected(std::error_code(error, std::generic_category()));
        }
        co_return robbed.release();
    }
    const auto events = co_await poll_events(source_, POLLIN);
    if (!events) co_return std::unexpected(events.error());
    auto connection = feed::receive(source_);
    if (!connection) co_return std::unexpected(connection.error());
    co_return connection->release();
}

// Of the processes that share a listener, the kernel wakes one for a connection. The ring of one that was
// killed stays in the listener's queue for a while after the process has gone, and may be the one that is
// woken: then the others find the connection when they look for themselves.
Duration AcceptLoop::look_again_after() const {
    const bool may_be_robbed =
        slots_.shared_between_processes() && TaskContext::current()->reactor().waiting() == Waiting::uring;
    return may_be_robbed ? std::chrono::milliseconds(500) : no_limit;
}

AcceptLoop::AcceptLoop(Source::Kind kind, int source, SlotQueue& slots)
    : kind_(kind), source_(source), slots_(slots), patience_(most_looks_at_others) {}

// Returns when this process may take one more, or when nobody else takes what is there.
task<void> AcceptLoop::leave_to_others() {
    std::uint64_t served = slots_.served_everywhere();
    for (unsigned looks = 0; looks <= patience_; ++looks) {
        const auto somebody = co_await poll_events(source_, POLLIN);
        if (!somebody || slots_.has_share()) co_return;  // what is wrong, accepting says best
        if (served != slots_.served_everywhere()) {
            served = slots_.served_everywhere();
            patience_ = most_looks_at_others;
            looks = 0;
        }
        co_await sleep(look_at_others_every);
    }
    patience_ = 1;
}

task<int> AcceptLoop::next_without_slot() {
    Duration pause = shortest_pause;
    while (true) {
        if (!slots_.has_share()) co_await leave_to_others();
        const auto accepted = co_await try_next();
        if (accepted) {
            if (pause != shortest_pause) spdlog::info("accepting again");
            co_return *accepted;
        }
        if (TaskContext::current()->stop_requested()) TaskContext::current()->throw_stop();
        if (accepted.error() == std::errc::resource_unavailable_try_again) continue;  // another thread has it
        // The giver has gone; it is a reset when it had not read every acknowledgement.
        const bool has_gone =
            accepted.error() == std::errc::not_connected || accepted.error() == std::errc::connection_reset;
        if (has_gone && kind_ == Source::Kind::feed) throw task_canceled(StopReason::canceled);
        if (!is_exhaustion(accepted.error())) throw std::system_error(accepted.error(), "accept");
        if (pause == shortest_pause) spdlog::warn("accepting pauses: {}", accepted.error().message());
        co_await sleep(pause);
        pause = std::min(pause * 2, longest_pause);
    }
}

task<std::vector<int>> AcceptLoop::leave() {
    std::vector<int> last;
    // Another descriptor of the same listener: the wait at the first must be over before the last look.
    const Fd listener(kind_ == Source::Kind::listener ? ::fcntl(source_, F_DUPFD_CLOEXEC, 0) : -1);
    co_await close_descriptor(source_);
    while (listener && last.size() < most_at_the_last_look) {
        Fd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd) break;
        const bool has_slot = co_await slots_.take();
        if (!has_slot) break;
        last.push_back(fd.release());
    }
    co_return last;
}

}  // namespace confab
