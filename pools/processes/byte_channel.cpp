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

#include "pools/processes/channel_parts.hpp"

namespace confab::processes {

namespace {

// Of a record. Changed with the getters' lock held.
enum State : std::uint32_t { ready, taken, finished };

enum Closing : std::uint32_t { open, draining, dropping };

constexpr std::uint64_t magic = 0x636f6e6661622031;  // "confab 1"
constexpr std::size_t alignment = 32;                // of records, so that no head goes around the end

constexpr std::size_t round_up(std::size_t size) { return (size + alignment - 1) / alignment * alignment; }

}  // namespace

struct byte_channel::Record {
    static std::size_t size_with(std::size_t message) { return round_up(sizeof(Record) + message); }

    std::atomic<std::uint32_t> state;
    std::uint32_t size;  // of the message, which follows
    identity taker;
};

// What different processes write lies on different lines.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct byte_channel::Layout {
    Layout(std::size_t size, delivery option) : capacity(size), how(option) {}

    std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
    Record& record(std::uint64_t position) {
        return *std::launder(reinterpret_cast<Record*>(bytes() + position % capacity));
    }
    std::uint64_t after(std::uint64_t position) {
        return position + Record::size_with(record(position).size);
    }
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
    alignas(cache_line) mutex put_lock;
    std::atomic<std::uint64_t> tail = 0;
    std::uint64_t known_head = 0;  // `head` is there or further on
    std::atomic<std::uint32_t> closing = open;
    std::uint64_t dead_putters = 0;

    // The getters', in the same way.
    alignas(cache_line) mutex get_lock;
    std::atomic<std::uint64_t> head = 0;
    std::uint64_t next = 0;
    std::uint64_t known_tail = 0;  // `tail` is there or further on
    std::uint64_t dead_getters = 0;
    std::uint64_t lost = 0;
    std::uint64_t redelivered = 0;

    alignas(cache_line) WaitList getters;
    alignas(cache_line) WaitList putters;
    alignas(cache_line) WaitList joiners;
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

byte_channel::byte_channel(std::size_t capacity, std::size_t typical_size, delivery how)
    : memory_(sizeof(Layout) + capacity * Record::size_with(typical_size)) {
    if (capacity == 0) throw std::logic_error("a channel needs room for a message");
    ::new (memory_.bytes().data()) Layout(capacity * Record::size_with(typical_size), how);
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

bool byte_channel::has_room_for(std::size_t size) const {
    Layout& all = layout();
    const std::uint64_t head = all.head;  // first: it may come closer, but never pass the tail
    const std::uint64_t used = all.tail - head;
    return used <= all.capacity && all.capacity - used >= Record::size_with(size);
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
    if (!list.wait(seen, deadline, happened)) look_after();
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

bool byte_channel::join_until(Instant deadline) {
    Layout& all = layout();
    while (true) {
        const std::uint32_t seen = all.joiners.seen();
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
    const std::size_t size = Record::size_with(message.size());
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
        const std::uint32_t seen = all.putters.seen();
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

std::expected<std::uint64_t, channel_error> byte_channel::next(Instant deadline, message_reader& reader,
                                                               bool keeps) {
    Layout& all = layout();
    const identity self = identity::mine();
    auto lock = hold_getters(all);
    if (!lock.lock(deadline)) return std::unexpected(channel_error::empty);
    while (true) {
        const std::uint32_t seen = all.getters.seen();
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

std::expected<void, channel_error> byte_channel::get_until(Instant deadline, message_reader& reader) {
    const auto position = next(deadline, reader, false);
    if (!position) return std::unexpected(position.error());
    return {};
}

auto byte_channel::take_until(Instant deadline, message_reader& reader)
    -> std::expected<Taken, channel_error> {
    const auto position = next(deadline, reader, true);
    if (!position) return std::unexpected(position.error());
    return std::expected<Taken, channel_error>(std::in_place, *this, *position);
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
