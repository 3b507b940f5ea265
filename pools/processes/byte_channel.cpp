// A ring of records. Positions only grow: `tail` is behind the last record that was put, `head` is the first
// one whose work is not done, and no record before `next` can be got.
//
//            head          next                tail
//     ---------|--taken-done--|--ready-...-ready-|----------
//
// What makes it survive a SIGKILL at any instruction is that each step has one store that decides it, and
// that what else belongs to the step can be worked out again:
//
//     put    everything else is written before, then `tail`: until then there is no record
//     get    the message is copied before, then the record's state: until then the next one gets it
//     take   the taker is written before, then the record's state
//     done   the record's state; `head` follows, whoever moves it
//
// Who gets a lock whose owner died sets `next` back to `head`, and moves `head` over what is finished there;
// who gets from there skips what is not ready. What is behind `next` may be finished, too, once `next` was
// set back, so `head` is not stopped by it. Everyone who waits does so for a bounded time, and then sees to
// what a dead one may have left undone
// (`look_after`).
#include "pools/processes/byte_channel.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <mutex>
#include <new>
#include <stdexcept>

#include "pools/futex.hpp"
#include "pools/patience.hpp"
#include "pools/processes/identity.hpp"
#include "pools/processes/mutex.hpp"

namespace confab::processes {

namespace {

// Of a record. Changed with the getters' lock held.
enum State : std::uint32_t { ready, taken, finished };

enum Closing : std::uint32_t { open, draining, dropping };

constexpr std::uint64_t magic = 0x636f6e6661622031;  // "confab 1"
constexpr std::size_t alignment = 32;                // of records, so that no head goes around the end
constexpr std::size_t line = 64;                     // bytes that processors share at once

constexpr std::size_t round_up(std::size_t size) { return (size + alignment - 1) / alignment * alignment; }

}  // namespace

struct byte_channel::Record {
    std::atomic<std::uint32_t> state;
    std::uint32_t size;  // of the message, which follows
    identity taker;
};

// Who sleeps, as far as one can know it of processes that may be killed: a number that can be too high, until
// a wake-up that finds nobody corrects it. The upper half counts those who came, so that nobody who just came
// is taken off.
struct byte_channel::WaitList {
    static constexpr std::uint32_t number = 0xffff;
    static constexpr std::uint32_t came = 0x10000;

    // Sleeps unless the word is not `seen` any more, or `happened()`. False: it was as long as one may wait
    // without looking after the dead. What `happened` looks at must be written before `wake` is called.
    template <class Happened>
    bool sleep(std::uint32_t seen, Instant deadline, Happened happened) {
        asleep.fetch_add(came + 1);
        const Instant check = after(Clock::now(), life_check_interval);
        const bool is_woken =
            happened() || futex_wait(word, seen, FutexScope::processes, std::min(deadline, check));
        std::uint32_t current = asleep.load();
        while ((current & number) > 0 && !asleep.compare_exchange_weak(current, current - 1)) {
        }
        return is_woken;
    }

    void wake(std::uint32_t count) {
        std::uint32_t current = asleep.load();
        if ((current & number) == 0) return;
        word.fetch_add(1);
        if (futex_wake(word, count, FutexScope::processes) == 0) {
            asleep.compare_exchange_strong(current, current & ~number);
        }
    }

    FutexWord word = 0;
    std::atomic<std::uint32_t> asleep = 0;
};

// What different processes write lies on different lines.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct byte_channel::Layout {
    Layout(std::size_t size, delivery option) : capacity(size), how(option) {}

    std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
    Record& record(std::uint64_t position) {
        return *std::launder(reinterpret_cast<Record*>(bytes() + position % capacity));
    }
    std::uint64_t after(std::uint64_t position) { return position + size_with_head(record(position).size); }
    std::pair<std::span<std::byte>, std::span<std::byte>> message_at(std::uint64_t position,
                                                                     std::size_t size);

    bool find_ready();
    bool is_taken_but_by(const identity& self);
    bool advance();
    void drop_ready();

    const std::uint64_t is_channel = magic;
    const std::uint64_t capacity;
    const delivery how;

    // The putters'. What is not atomic is read, and all is written, with their lock.
    alignas(line) mutex put_lock;
    std::atomic<std::uint64_t> tail = 0;
    std::uint64_t known_head = 0;  // `head` is there or further on
    std::atomic<std::uint32_t> closing = open;
    std::uint64_t dead_putters = 0;

    // The getters', in the same way.
    alignas(line) mutex get_lock;
    std::atomic<std::uint64_t> head = 0;
    std::uint64_t next = 0;
    std::uint64_t known_tail = 0;  // `tail` is there or further on
    std::uint64_t dead_getters = 0;
    std::uint64_t lost = 0;
    std::uint64_t redelivered = 0;

    alignas(line) WaitList getters;
    alignas(line) WaitList putters;
    alignas(line) WaitList joiners;
};

// Holds the lock of a side, and has put in order what an owner who died left there.
template <class Recover>
class byte_channel::Hold {
  public:
    Hold(mutex& lock, Recover recover) : lock_(lock), recover_(std::move(recover)) {}
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
    ~Hold() {
        if (is_held_) unlock();
    }

    // False: not by the deadline. Who only tries waits, too, for those in the middle of a call, but not for
    // ever: they may have been stopped.
    bool lock(Instant deadline) CONFAB_NO_THREAD_SAFETY_ANALYSIS /* the object is what holds it */ {
        is_held_ =
            lock_.try_lock() ||
            lock_.try_lock_until(deadline == Instant::min() ? confab::after(Clock::now(), life_check_interval)
                                                            : deadline);
        if (is_held_ && lock_.previous_owner_died()) {
            recover_();
            lock_.recovered();
        }
        return is_held_;
    }
    void unlock() CONFAB_NO_THREAD_SAFETY_ANALYSIS {
        is_held_ = false;
        lock_.unlock();
    }

  private:
    mutex& lock_;
    Recover recover_;
    bool is_held_ = false;
};

auto byte_channel::hold_putters(Layout& all) {
    return Hold(all.put_lock, [&all] { ++all.dead_putters; });
}

auto byte_channel::hold_getters(Layout& all) {
    return Hold(all.get_lock, [&all] {
        ++all.dead_getters;
        all.next = all.head;
        if (all.advance()) tell_of_room(all, wake_all);
    });
}

// In two pieces, where it goes around the end.
auto byte_channel::Layout::message_at(std::uint64_t position, std::size_t size)
    -> std::pair<std::span<std::byte>, std::span<std::byte>> {
    const std::size_t begin = (position + sizeof(Record)) % capacity;
    const std::size_t first = std::min<std::size_t>(size, capacity - begin);
    return {{bytes() + begin, first}, {bytes(), size - first}};
}

// Moves `next` to a message that can be got; false: there is none. With the getters' lock.
bool byte_channel::Layout::find_ready() {
    while (true) {
        for (; next != known_tail; next = after(next)) {
            if (record(next).state == ready) return true;
        }
        known_tail = tail;
        if (next == known_tail) return false;
    }
}

// With the getters' lock.
bool byte_channel::Layout::is_taken_but_by(const identity& self) {
    for (std::uint64_t position = head; position != next; position = after(position)) {
        if (record(position).state == taken && record(position).taker != self) return true;
    }
    return false;
}

// Frees what is finished; false: nothing was. With the getters' lock.
bool byte_channel::Layout::advance() {
    const std::uint64_t before = head;
    std::uint64_t position = before;
    while (position != known_tail && record(position).state == finished) position = after(position);
    if (position == before) return false;
    next = std::max(next, position);
    head = position;
    return true;
}

// With the getters' lock.
void byte_channel::Layout::drop_ready() {
    while (find_ready()) record(next).state = finished;
    advance();
}

// --- Making, attaching, looking ------------------------------------------------------------------------

std::size_t byte_channel::size_with_head(std::size_t size) { return round_up(sizeof(Record) + size); }

byte_channel::byte_channel(std::size_t capacity, delivery how)
    : memory_(sizeof(Layout) + round_up(capacity)) {
    if (capacity == 0) throw std::logic_error("a channel needs room for a message");
    ::new (memory_.bytes().data()) Layout(round_up(capacity), how);
}

byte_channel byte_channel::attach(Fd descriptor) {
    byte_channel channel(shared_memory::attach(std::move(descriptor)));
    if (channel.memory_.size() < sizeof(Layout) || channel.layout().is_channel != magic ||
        channel.memory_.size() != sizeof(Layout) + channel.layout().capacity) {
        throw std::invalid_argument("the memory is not a channel's");
    }
    return channel;
}

byte_channel::Layout& byte_channel::layout() const {
    return *std::launder(reinterpret_cast<Layout*>(memory_.bytes().data()));
}

bool byte_channel::closed() const { return layout().closing != open; }
std::size_t byte_channel::capacity() const { return layout().capacity; }

std::size_t byte_channel::room() const {
    Layout& all = layout();
    const std::uint64_t head = all.head;  // first: it may come closer, but never pass the tail
    return all.capacity - std::min<std::size_t>(all.capacity, all.tail - head);
}

std::size_t byte_channel::size() const {
    Layout& all = layout();
    auto lock = hold_getters(all);
    lock.lock(never);
    std::size_t count = 0;
    if (!all.find_ready()) return 0;
    for (std::uint64_t position = all.next; position != all.tail; position = all.after(position)) {
        if (all.record(position).state == ready) ++count;
    }
    return count;
}

channel_deaths byte_channel::deaths() const {
    Layout& all = layout();
    auto put_lock = hold_putters(all);
    auto get_lock = hold_getters(all);
    put_lock.lock(never);
    get_lock.lock(never);
    return {all.dead_putters, all.dead_getters, all.lost, all.redelivered};
}

// --- Waiting -------------------------------------------------------------------------------------------

// `seen` is the list's word as it was when it was found that there is something to wait for.
template <class Happened>
void byte_channel::wait(WaitList& list, std::uint32_t seen, Instant deadline, Happened happened) {
    thread_local Patience patience;  // one for each kind of wait: each has a `Happened` of its own
    if (patience.is_worthwhile()) {
        const bool is_quick =
            Patience::watch([&] { return list.word.load(std::memory_order_relaxed) != seen || happened(); });
        patience.learn(is_quick);
        if (is_quick) return;
    }
    if (!list.sleep(seen, deadline, happened)) look_after();
}

// After a time without news: ends what the dead have left undone.
void byte_channel::look_after() {
    Layout& all = layout();
    auto lock = hold_getters(all);
    if (!lock.lock(Instant::min())) return;
    identity known_alive;  // takers often come in rows, and to ask costs
    bool is_changed = false;
    for (std::uint64_t position = all.head; position != all.next; position = all.after(position)) {
        Record& record = all.record(position);
        if (record.state != taken || record.taker == known_alive) continue;
        if (record.taker.alive()) {
            known_alive = record.taker;
            continue;
        }
        is_changed = true;
        if (all.how == delivery::at_most_once) {
            record.state = finished;
            ++all.lost;
        } else {
            record.state = ready;
            ++all.redelivered;
        }
    }
    if (is_changed) all.next = all.head;
    all.find_ready();  // past what is finished, so that it can be freed
    if (all.closing == dropping) all.drop_ready();
    is_changed = all.advance() || is_changed;
    lock.unlock();
    if (!is_changed) return;
    all.getters.wake(wake_all);
    tell_of_room(all, wake_all);
}

// After `head` moved; the getters' lock is better free again, or who is woken waits for it.
void byte_channel::tell_of_room(Layout& all, std::uint32_t putters) {
    all.putters.wake(putters);
    if (all.head != all.tail) return;
    all.joiners.wake(wake_all);
    // Those who waited for what a taker might have left them.
    if (all.closing != open) all.getters.wake(wake_all);
}

namespace {

// Instant::min() has passed without asking the clock.
bool is_late(Instant deadline) {
    return deadline != never && (deadline == Instant::min() || Clock::now() >= deadline);
}

}  // namespace

bool byte_channel::join_until(Instant deadline) {
    Layout& all = layout();
    while (true) {
        const std::uint32_t seen = all.joiners.word;
        const auto is_done = [&all] {
            const std::uint64_t tail = all.tail;
            return all.head >= tail;
        };
        if (is_done()) return true;
        if (is_late(deadline)) return false;
        wait(all.joiners, seen, deadline, is_done);
    }
}

// --- Putting and getting -------------------------------------------------------------------------------

std::expected<void, channel_error> byte_channel::put_until(Instant deadline,
                                                           std::span<const std::byte> message) {
    Layout& all = layout();
    const std::size_t size = size_with_head(message.size());
    if (size > all.capacity || message.size() > UINT32_MAX) {
        throw std::logic_error("the message is larger than the whole channel");
    }
    auto lock = hold_putters(all);
    if (!lock.lock(deadline)) return std::unexpected(channel_error::full);
    bool has_waited = false;
    while (true) {
        if (all.closing != open) return std::unexpected(channel_error::closed);
        const std::uint64_t tail = all.tail;
        if (all.capacity - (tail - all.known_head) >= size) break;
        const std::uint32_t seen = all.putters.word;
        const std::uint64_t head = all.head;
        if (head != std::exchange(all.known_head, head)) continue;
        if (is_late(deadline)) return std::unexpected(channel_error::full);
        lock.unlock();
        wait(all.putters, seen, deadline, [&all, head] { return all.head != head || all.closing != open; });
        has_waited = true;
        if (!lock.lock(deadline)) return std::unexpected(channel_error::full);
    }
    const std::uint64_t tail = all.tail;
    ::new (&all.record(tail)) Record{ready, static_cast<std::uint32_t>(message.size()), {}};
    const auto [begin, end] = all.message_at(tail, message.size());
    std::ranges::copy(message.first(begin.size()), begin.begin());
    std::ranges::copy(message.subspan(begin.size()), end.begin());
    all.tail = tail + size;
    lock.unlock();
    all.getters.wake(1);
    // A large message that was got may have made room for several, and woken one of us.
    if (has_waited) all.putters.wake(1);
    return {};
}

std::expected<std::uint64_t, channel_error> byte_channel::next(Instant deadline, Reader& reader, bool keeps) {
    Layout& all = layout();
    const identity self = identity::mine();
    auto lock = hold_getters(all);
    if (!lock.lock(deadline)) return std::unexpected(channel_error::empty);
    while (true) {
        const std::uint32_t seen = all.getters.word;
        const std::uint32_t closing = all.closing;
        if (closing == dropping) return std::unexpected(channel_error::closed);
        if (all.find_ready()) break;
        // No put succeeds after the closing, so `tail` has said its last word; but another taker may yet die.
        if (closing != open && (all.how == delivery::at_most_once || !all.is_taken_but_by(self))) {
            return std::unexpected(channel_error::closed);
        }
        if (is_late(deadline)) return std::unexpected(channel_error::empty);
        const std::uint64_t tail = all.known_tail;
        const std::uint64_t head = all.head;
        lock.unlock();
        wait(all.getters, seen, deadline, [&all, tail, head, closing] {
            return all.tail != tail || all.closing != closing || (closing != open && all.head != head);
        });
        if (!lock.lock(deadline)) return std::unexpected(channel_error::empty);
    }
    const std::uint64_t position = all.next;
    Record& record = all.record(position);
    const auto [begin, end] = all.message_at(position, record.size);
    reader.read(begin, end);
    if (keeps) {
        record.taker = self;
        record.state = taken;
    } else {
        record.state = finished;
    }
    all.next = all.after(position);
    const bool has_moved = all.advance();
    lock.unlock();
    if (has_moved) tell_of_room(all, 1);
    return position;
}

std::expected<void, channel_error> byte_channel::get_until(Instant deadline, Reader& reader) {
    const auto position = next(deadline, reader, false);
    if (!position) return std::unexpected(position.error());
    return {};
}

auto byte_channel::take_until(Instant deadline, Reader& reader) -> std::expected<Taken, channel_error> {
    const auto position = next(deadline, reader, true);
    if (!position) return std::unexpected(position.error());
    return std::expected<Taken, channel_error>(std::in_place, *this, *position);
}

namespace {

class ReadBytes final : public byte_channel::Reader {
  public:
    explicit ReadBytes(std::vector<std::byte>& into) : into_(into) {}
    void read(std::span<const std::byte> begin, std::span<const std::byte> end) override {
        into_.assign(begin.begin(), begin.end());
        into_.insert(into_.end(), end.begin(), end.end());
    }

  private:
    std::vector<std::byte>& into_;
};

}  // namespace

std::expected<void, channel_error> byte_channel::get_until(Instant deadline, std::vector<std::byte>& into) {
    ReadBytes reader(into);
    return get_until(deadline, reader);
}

auto byte_channel::take_until(Instant deadline, std::vector<std::byte>& into)
    -> std::expected<Taken, channel_error> {
    ReadBytes reader(into);
    return take_until(deadline, reader);
}

void byte_channel::done(std::uint64_t position) {
    Layout& all = layout();
    auto lock = hold_getters(all);
    lock.lock(never);
    // In a fork of the taker's it is not his.
    Record& record = all.record(position);
    if (position < all.head || record.state != taken || record.taker != identity::mine()) return;
    record.state = finished;
    const bool has_moved = all.advance();
    lock.unlock();
    if (has_moved) tell_of_room(all, wake_all);
}

// --- Closing -------------------------------------------------------------------------------------------

void byte_channel::close() { close_to(draining); }

void byte_channel::close_now() {
    close_to(dropping);
    Layout& all = layout();
    auto lock = hold_getters(all);
    lock.lock(never);
    all.drop_ready();
    lock.unlock();
    tell_of_room(all, wake_all);
}

void byte_channel::close_to(std::uint32_t closing) {
    Layout& all = layout();
    auto lock = hold_putters(all);
    lock.lock(never);
    all.closing = std::max<std::uint32_t>(all.closing, closing);
    lock.unlock();
    all.getters.wake(wake_all);
    all.putters.wake(wake_all);
    all.joiners.wake(wake_all);
}

}  // namespace confab::processes
