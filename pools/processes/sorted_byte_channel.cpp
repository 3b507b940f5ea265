// Places of one size. A message lies in one, or in a chain of them; its first place says what it is. A heap
// of the numbers of first places gives the order.
//
// What makes it survive a SIGKILL at any instruction is that only the states of first places count, each
// change of one is one store, and all else can be worked out again from them:
//
//     put    everything else is written before, then `ready`: until then there is no message
//     get    the message is read before, then `unused`: until then the next one gets it
//     take   the taker is written before, then `taken`
//     done   `unused`
//
// Heap, free places and counts follow such a store; who gets the lock of an owner who died makes them anew
// (`recover`). Everyone who waits does so for a bounded time, and then sees to what a dead one may have left
// undone (`look_after`).
#include "pools/processes/sorted_byte_channel.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <new>
#include <stdexcept>
#include <vector>

#include "pools/heap.hpp"
#include "pools/processes/channel_parts.hpp"

namespace confab::processes {

namespace {

// Of a place. Changed with the lock held.
enum State : std::uint32_t {
    unused,
    part,  // of a message that begins elsewhere
    ready,
    taken,
};

enum Closing : std::uint32_t { open, draining, dropping };

// What the owner of the lock is about, for those who find him dead.
enum Doing : std::uint32_t { neither, putting, getting };

constexpr std::uint64_t magic = 0x636f6e6661622033;  // "confab 3"
constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

constexpr std::size_t alignment = 8;  // of places

constexpr std::size_t round_up(std::size_t size) { return (size + alignment - 1) / alignment * alignment; }

}  // namespace

struct alignas(alignment) sorted_byte_channel::Place {
    std::atomic<std::uint32_t> state = unused;
    std::uint32_t size = 0;     // of a whole message
    std::uint32_t next = none;  // of the same message, or of those that are free
    std::uint64_t arrival = 0;
    identity taker;
    // The bytes follow.
};

// What is looked at without the lock, by those who wait, is atomic.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
struct sorted_byte_channel::Layout {
    Layout(std::uint32_t number, std::uint32_t size, delivery option)
        : capacity(number), place_size(size), how(option) {}

    static std::size_t heap_size(std::size_t capacity) { return round_up(capacity * sizeof(std::uint32_t)); }
    static std::size_t total_size(std::size_t capacity, std::size_t place_size) {
        return sizeof(Layout) + heap_size(capacity) + capacity * (sizeof(Place) + place_size);
    }

    std::uint32_t* order() { return reinterpret_cast<std::uint32_t*>(this + 1); }
    std::byte* raw_place(std::uint32_t index) {
        return reinterpret_cast<std::byte*>(this + 1) + heap_size(capacity) +
               index * (sizeof(Place) + place_size);
    }
    Place& place(std::uint32_t index) { return *std::launder(reinterpret_cast<Place*>(raw_place(index))); }
    std::byte* bytes(std::uint32_t index) { return raw_place(index) + sizeof(Place); }

    std::uint32_t places_for(std::size_t size) const {
        const std::size_t places = size == 0 ? 1 : (size + place_size - 1) / place_size;
        return static_cast<std::uint32_t>(std::min<std::size_t>(places, none));
    }
    void write(std::span<const std::byte> message);
    std::span<const std::byte> read(std::uint32_t first, std::vector<std::byte>& gathered);
    std::uint32_t free(std::uint32_t first);
    void recover();
    void drop_ready();
    bool is_taken_but_by(const identity& self);

    const std::uint64_t is_channel = magic;
    const std::uint32_t capacity;    // places
    const std::uint32_t place_size;  // bytes of a message in each
    const delivery how;

    alignas(cache_line) mutex lock;
    std::uint32_t doing = neither;
    std::uint32_t first_free = 0;
    std::uint32_t sorted = 0;     // so many of those that are ready form a heap, the rest is behind it
    bool has_large_ones = false;  // somebody has waited for more than one place
    std::uint64_t next_arrival = 0;
    channel_deaths deaths;
    std::atomic<std::uint32_t> ready_ones = 0;
    std::atomic<std::uint32_t> unfinished = 0;  // ready or taken
    std::atomic<std::uint32_t> free_places = 0;
    std::atomic<std::uint32_t> closing = open;

    alignas(cache_line) WaitList getters;
    alignas(cache_line) WaitList putters;
    alignas(cache_line) WaitList joiners;
};

// Holds the lock, with everything in order, and says meanwhile what for.
class sorted_byte_channel::Held {
  public:
    Held(Layout& all, std::uint32_t doing) : all_(all), doing_(doing), hold_(all.lock, Recover{all}) {}
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() {
        if (is_held_) unlock();
    }

    bool lock(Instant deadline) {
        is_held_ = hold_.lock(deadline);
        if (is_held_) all_.doing = doing_;
        return is_held_;
    }
    void unlock() {
        is_held_ = false;
        all_.doing = neither;
        hold_.unlock();
    }

  private:
    struct Recover {
        Layout& all;
        void operator()() const { all.recover(); }
    };

    Layout& all_;
    const std::uint32_t doing_;
    Hold<Recover> hold_;
    bool is_held_ = false;
};

// --- Places, with the lock held ------------------------------------------------------------------------

// Into the first of the free places, which stay free.
void sorted_byte_channel::Layout::write(std::span<const std::byte> message) {
    for (std::uint32_t at = first_free; !message.empty(); at = place(at).next) {
        const auto piece = message.first(std::min<std::size_t>(message.size(), place_size));
        std::ranges::copy(piece, bytes(at));
        message = message.subspan(piece.size());
    }
}

// Where it lies; or gathered, when it lies in several places.
std::span<const std::byte> sorted_byte_channel::Layout::read(std::uint32_t first,
                                                             std::vector<std::byte>& gathered) {
    std::size_t left = place(first).size;
    if (left <= place_size) return {bytes(first), left};
    gathered.clear();
    for (std::uint32_t at = first; left > 0; at = place(at).next) {
        const std::size_t piece = std::min<std::size_t>(left, place_size);
        gathered.insert(gathered.end(), bytes(at), bytes(at) + piece);
        left -= piece;
    }
    return gathered;
}

// The places of a message that is none any more; gives how many.
std::uint32_t sorted_byte_channel::Layout::free(std::uint32_t first) {
    const std::uint32_t places = places_for(place(first).size);
    std::uint32_t last = first;
    for (std::uint32_t i = 1; i < places; ++i) {
        last = place(last).next;
        place(last).state = unused;
    }
    place(last).next = first_free;
    first_free = first;
    free_places += places;
    return places;
}

// Works everything out anew from the states of the first places. Who is killed here leaves that to the next.
void sorted_byte_channel::Layout::recover() {
    if (doing == putting) ++deaths.putters;
    if (doing == getting) ++deaths.getters;
    doing = neither;
    for (std::uint32_t i = 0; i < capacity; ++i) {
        if (place(i).state == part) place(i).state = unused;
    }
    std::uint32_t ready_now = 0;
    std::uint32_t unfinished_now = 0;
    for (std::uint32_t i = 0; i < capacity; ++i) {
        if (place(i).state != ready && place(i).state != taken) continue;
        ++unfinished_now;
        if (place(i).state == ready) order()[ready_now++] = i;
        std::uint32_t at = i;
        for (std::uint32_t more = places_for(place(i).size); more > 1; --more) {
            at = place(at).next;
            place(at).state = part;
        }
    }
    std::uint32_t free_now = 0;
    first_free = none;
    for (std::uint32_t i = capacity; i-- > 0;) {
        if (place(i).state != unused) continue;
        place(i).next = first_free;
        first_free = i;
        ++free_now;
    }
    sorted = 0;
    ready_ones = ready_now;
    unfinished = unfinished_now;
    free_places = free_now;
    if (closing == dropping) drop_ready();
}

void sorted_byte_channel::Layout::drop_ready() {
    sorted = 0;
    for (; ready_ones > 0; --ready_ones) {
        const std::uint32_t first = order()[ready_ones - 1];
        place(first).state = unused;
        free(first);
        --unfinished;
    }
}

bool sorted_byte_channel::Layout::is_taken_but_by(const identity& self) {
    if (unfinished == ready_ones) return false;
    for (std::uint32_t i = 0; i < capacity; ++i) {
        if (place(i).state == taken && place(i).taker != self) return true;
    }
    return false;
}

// --- Making, attaching, looking ------------------------------------------------------------------------

namespace {

// Small enough that a message somewhat larger than the typical one does not need twice the room.
std::uint32_t place_size_for(std::size_t typical_size) {
    return static_cast<std::uint32_t>(round_up(std::clamp<std::size_t>(typical_size, 1, 256)));
}

std::uint32_t places_for(std::size_t capacity, std::size_t typical_size) {
    if (capacity == 0) throw std::logic_error("a channel needs room for a message");
    const std::size_t place_size = place_size_for(typical_size);
    const std::size_t each = typical_size == 0 ? 1 : (typical_size + place_size - 1) / place_size;
    if (each >= none || capacity >= none / each) {
        throw std::logic_error("a sorted channel has 2^32 - 2 places at most");
    }
    return static_cast<std::uint32_t>(capacity * each);
}

}  // namespace

sorted_byte_channel::sorted_byte_channel(std::size_t capacity, std::size_t typical_size, delivery how)
    : memory_(Layout::total_size(places_for(capacity, typical_size), place_size_for(typical_size))) {
    auto* const all = ::new (memory_.bytes().data())
        Layout(places_for(capacity, typical_size), place_size_for(typical_size), how);
    for (std::uint32_t i = 0; i < all->capacity; ++i) ::new (all->raw_place(i)) Place;
    all->recover();
}

sorted_byte_channel::sorted_byte_channel(Fd descriptor)
    : memory_(shared_memory::attach(std::move(descriptor))) {
    if (memory_.size() < sizeof(Layout) || layout().is_channel != magic ||
        memory_.size() != Layout::total_size(layout().capacity, layout().place_size)) {
        throw std::invalid_argument("the memory is not a sorted channel's");
    }
}

sorted_byte_channel::Layout& sorted_byte_channel::layout() const {
    return *std::launder(reinterpret_cast<Layout*>(memory_.bytes().data()));
}

bool sorted_byte_channel::closed() const { return layout().closing != open; }

std::size_t sorted_byte_channel::size() const {
    Layout& all = layout();
    Held lock(all, neither);
    lock.lock(never);
    return all.ready_ones;
}

bool sorted_byte_channel::has_room_for(std::size_t size) const {
    const Layout& all = layout();
    return all.free_places >= all.places_for(size);
}

channel_deaths sorted_byte_channel::deaths() const {
    Layout& all = layout();
    Held lock(all, neither);
    lock.lock(never);
    return all.deaths;
}

// --- Waiting -------------------------------------------------------------------------------------------

// `seen` is the list's word as it was when it was found that there is something to wait for.
template <class Happened>
void sorted_byte_channel::wait(WaitList& list, std::uint32_t seen, Instant deadline, Happened happened) {
    if (!list.wait(seen, deadline, happened)) look_after();
}

// After a time without news: ends what the dead have left undone.
void sorted_byte_channel::look_after() {
    Layout& all = layout();
    Held lock(all, neither);
    if (!lock.lock(Instant::min()) || all.unfinished == all.ready_ones) return;
    identity known_alive;  // takers often come in rows, and to ask costs
    bool is_changed = false;
    for (std::uint32_t i = 0; i < all.capacity; ++i) {
        Place& place = all.place(i);
        if (place.state != taken || place.taker == known_alive) continue;
        if (place.taker.alive()) {
            known_alive = place.taker;
            continue;
        }
        is_changed = true;
        if (all.how == delivery::at_most_once || all.closing == dropping) {
            place.state = unused;
            all.free(i);
            --all.unfinished;
            ++all.deaths.lost;
        } else {
            place.state = ready;
            all.order()[all.ready_ones++] = i;  // `sort` will find where it belongs
            ++all.deaths.redelivered;
        }
    }
    lock.unlock();
    if (!is_changed) return;
    all.getters.wake(wake_all);
    tell_of_room(all, wake_all);
}

// After a message has gone; the lock is better free again, or who is woken waits for it.
void sorted_byte_channel::tell_of_room(Layout& all, std::uint32_t places) {
    // What is free now may be too little for the one that would be woken, and enough for another.
    all.putters.wake(all.has_large_ones ? wake_all : places);
    if (all.unfinished != 0) return;
    all.joiners.wake(wake_all);
    // Those who waited for what a taker might have left them.
    if (all.closing != open) all.getters.wake(wake_all);
}

bool sorted_byte_channel::join_until(Instant deadline) {
    Layout& all = layout();
    while (true) {
        const std::uint32_t seen = all.joiners.seen();
        const auto is_done = [&all] { return all.unfinished == 0; };
        if (is_done()) return true;
        if (is_late(deadline)) return false;
        wait(all.joiners, seen, deadline, is_done);
    }
}

// --- Order ---------------------------------------------------------------------------------------------

std::uint64_t sorted_byte_channel::Message::arrival() const { return all_.place(place_).arrival; }
std::span<const std::byte> sorted_byte_channel::Message::bytes() const {
    return all_.read(place_, gathered_);
}

bool sorted_byte_channel::is_before(Layout& all, std::uint32_t one, std::uint32_t other) const {
    thread_local std::vector<std::byte> gathered_one;
    thread_local std::vector<std::byte> gathered_other;
    const Message first(all, one, gathered_one);
    const Message second(all, other, gathered_other);
    if (is_before(first, second)) return true;
    return first.arrival() < second.arrival() && !is_before(second, first);
}

// Brings what is behind the heap into it: after a death, and what a dead taker has left.
void sorted_byte_channel::sort(Layout& all) const {
    std::uint32_t* const order = all.order();
    for (; all.sorted < all.ready_ones; ++all.sorted) {
        const std::uint32_t added = order[all.sorted];
        const std::size_t place =
            heap::find_place(all.sorted, [&](std::size_t i) { return is_before(all, added, order[i]); });
        heap::move_down(all.sorted, place,
                        [order](std::size_t from, std::size_t to) { order[to] = order[from]; });
        order[place] = added;
    }
}

// --- Putting and getting -------------------------------------------------------------------------------

std::expected<void, channel_error> sorted_byte_channel::put_until(Instant deadline,
                                                                  std::span<const std::byte> message) {
    Layout& all = layout();
    const std::uint32_t places = all.places_for(message.size());
    if (places > all.capacity || message.size() >= none) {
        throw std::logic_error("the message is larger than the whole channel");
    }
    Held lock(all, putting);
    if (!lock.lock(deadline)) return std::unexpected(channel_error::full);
    while (true) {
        if (all.closing != open) return std::unexpected(channel_error::closed);
        if (all.free_places >= places) break;
        const std::uint32_t seen = all.putters.seen();
        if (is_late(deadline)) return std::unexpected(channel_error::full);
        if (places > 1) all.has_large_ones = true;
        lock.unlock();
        wait(all.putters, seen, deadline,
             [&all, places] { return all.free_places >= places || all.closing != open; });
        if (!lock.lock(deadline)) return std::unexpected(channel_error::full);
    }
    sort(all);
    const std::uint32_t first = all.first_free;
    Place& head = all.place(first);
    head.size = static_cast<std::uint32_t>(message.size());
    head.arrival = all.next_arrival;
    all.write(message);
    std::uint32_t* const order = all.order();
    const std::uint32_t size = all.ready_ones;
    const std::size_t rank =
        heap::find_place(size, [&](std::size_t i) { return is_before(all, first, order[i]); });

    std::uint32_t last = first;
    for (std::uint32_t i = 1; i < places; ++i) {
        last = all.place(last).next;
        all.place(last).state = part;
    }
    const std::uint32_t next_free = all.place(last).next;
    ++all.next_arrival;
    head.state = ready;
    all.first_free = next_free;
    all.free_places -= places;
    heap::move_down(size, rank, [order](std::size_t from, std::size_t to) { order[to] = order[from]; });
    order[rank] = first;
    ++all.unfinished;
    all.sorted = size + 1;
    all.ready_ones = size + 1;
    lock.unlock();
    all.getters.wake(1);
    return {};
}

std::expected<std::uint32_t, channel_error> sorted_byte_channel::next(Instant deadline,
                                                                      message_reader& reader, bool keeps) {
    thread_local std::vector<std::byte> gathered;
    Layout& all = layout();
    const identity self = identity::mine();
    Held lock(all, getting);
    if (!lock.lock(deadline)) return std::unexpected(channel_error::empty);
    while (true) {
        const std::uint32_t seen = all.getters.seen();
        const std::uint32_t closing = all.closing;
        if (closing == dropping) return std::unexpected(channel_error::closed);
        if (all.ready_ones > 0) break;
        // No put succeeds after the closing; but another taker may yet die.
        if (closing != open && (all.how == delivery::at_most_once || !all.is_taken_but_by(self))) {
            return std::unexpected(channel_error::closed);
        }
        if (is_late(deadline)) return std::unexpected(channel_error::empty);
        const std::uint32_t unfinished = all.unfinished;
        lock.unlock();
        wait(all.getters, seen, deadline, [&all, closing, unfinished] {
            return all.ready_ones > 0 || all.closing != closing ||
                   (closing != open && all.unfinished != unfinished);
        });
        if (!lock.lock(deadline)) return std::unexpected(channel_error::empty);
    }
    sort(all);
    std::uint32_t* const order = all.order();
    const std::uint32_t size = all.ready_ones;
    const std::uint32_t first = order[0];
    const heap::Way way = heap::find_way_of_last(
        size, [&](std::size_t one, std::size_t other) { return is_before(all, order[one], order[other]); });
    reader.read(all.read(first, gathered), {});

    if (keeps) {
        all.place(first).taker = self;
        all.place(first).state = taken;
    } else {
        all.place(first).state = unused;
    }
    heap::close_gap(size, way, [order](std::size_t from, std::size_t to) { order[to] = order[from]; });
    all.sorted = size - 1;
    all.ready_ones = size - 1;
    if (keeps) return first;
    const std::uint32_t places = all.free(first);
    --all.unfinished;
    lock.unlock();
    tell_of_room(all, places);
    return first;
}

std::expected<void, channel_error> sorted_byte_channel::get_until(Instant deadline, message_reader& reader) {
    const auto place = next(deadline, reader, false);
    if (!place) return std::unexpected(place.error());
    return {};
}

auto sorted_byte_channel::take_until(Instant deadline, message_reader& reader)
    -> std::expected<Taken, channel_error> {
    const auto place = next(deadline, reader, true);
    if (!place) return std::unexpected(place.error());
    return std::expected<Taken, channel_error>(std::in_place, *this, *place);
}

void sorted_byte_channel::done(std::uint64_t where) {
    Layout& all = layout();
    Held lock(all, neither);
    lock.lock(never);
    const auto first = static_cast<std::uint32_t>(where);
    // In a fork of the taker's it is not his.
    if (all.place(first).state != taken || all.place(first).taker != identity::mine()) return;
    all.place(first).state = unused;
    const std::uint32_t places = all.free(first);
    --all.unfinished;
    lock.unlock();
    tell_of_room(all, places);
}

// --- Closing -------------------------------------------------------------------------------------------

void sorted_byte_channel::close() { close_to(draining); }
void sorted_byte_channel::close_now() { close_to(dropping); }

void sorted_byte_channel::close_to(std::uint32_t closing) {
    Layout& all = layout();
    Held lock(all, neither);
    lock.lock(never);
    all.closing = std::max<std::uint32_t>(all.closing, closing);
    if (all.closing == dropping) all.drop_ready();
    lock.unlock();
    all.getters.wake(wake_all);
    all.putters.wake(wake_all);
    all.joiners.wake(wake_all);
}

}  // namespace confab::processes
