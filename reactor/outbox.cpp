#include "reactor/outbox.hpp"

#include <array>
#include <cassert>
#include <cerrno>

#include "reactor/block_cache.hpp"

namespace confab {

// Slices by the handful: a list node each would cost a cache miss each.
struct Outbox::Batch {
    static constexpr std::size_t capacity = 14;

    Batch* next = nullptr;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::array<SharedBytes, capacity> slices;
};

// One send on its way, and the parts it is made of, which the kernel may look at until it is over.
struct Outbox::Flight : Operation {
    // What one call carries; more in flight would only make a slow reader's pages wait longer.
    static constexpr std::size_t parts_at_most = 32;

    explicit Flight(Outbox& box) : Operation(Kind::send, box.fd_, &completed), outbox(box) {}
    static void completed(Operation& operation) noexcept;

    Outbox& outbox;
    JobQueue waiting_for_idle;
    Duration limit{};
    bool paused = false;
    const SharedBytes* newest = nullptr;  // the last one among the parts
    std::array<iovec, parts_at_most> iovecs;
};

Outbox::~Outbox() {
    assert(flight_ == nullptr && "the kernel may still read what is being sent");
    clear();
}

void Outbox::push(SharedBytes bytes) {
    if (error_ != 0 || bytes.size() == 0) return;
    size_ += bytes.size();
    if (last_ != nullptr && last_->end > 0) {
        SharedBytes& newest = last_->slices[last_->end - 1];
        // What is being sent has been described to the kernel as it is: it must not grow.
        const bool being_sent = flight_ != nullptr && flight_->newest == &newest;
        if (!being_sent && newest.absorb(bytes)) return;
    }
    append(first_, last_, std::move(bytes));
}

void Outbox::append(Batch*& first, Batch*& last, SharedBytes bytes) {
    if (last == nullptr || last->end == Batch::capacity) {
        auto* const batch = block_cache::make<Batch>();
        (last == nullptr ? first : last->next) = batch;
        last = batch;
    }
    last->slices[last->end++] = std::move(bytes);
}

void Outbox::push_urgent(SharedBytes bytes) {
    if (error_ != 0 || bytes.size() == 0) return;
    size_ += bytes.size();
    Batch* last = urgent_;
    while (last != nullptr && last->next != nullptr) last = last->next;
    append(urgent_, last, std::move(bytes));
}

std::size_t Outbox::urgent_size() const {
    std::size_t size = 0;
    for (const Batch* batch = urgent_; batch != nullptr; batch = batch->next) {
        for (std::uint32_t i = batch->begin; i < batch->end; ++i) size += batch->slices[i].size();
    }
    return size;
}

// Puts what is urgent first; only a slice that the peer has the beginning of goes before. Requires: nothing
// is being sent.
void Outbox::let_urgent_pass() {
    if (urgent_ == nullptr) return;
    Batch* last_urgent = urgent_;
    while (last_urgent->next != nullptr) last_urgent = last_urgent->next;
    Batch* const urgent = std::exchange(urgent_, nullptr);
    if (torn_) {
        Batch* ahead = nullptr;
        Batch* last_ahead = nullptr;
        append(ahead, last_ahead, std::move(first_->slices[first_->begin]));
        ahead->next = urgent;
        if (++first_->begin == first_->end) {
            Batch* const emptied = first_;
            first_ = emptied->next;
            if (first_ == nullptr) last_ = nullptr;
            block_cache::destroy(emptied);
        }
        last_urgent->next = first_;
        first_ = ahead;
    } else {
        last_urgent->next = first_;
        first_ = urgent;
    }
    if (last_ == nullptr) last_ = last_urgent;
}

void Outbox::flush(Duration limit) {
    if (flight_ != nullptr || size_ == 0) return;
    let_urgent_pass();
    if (send_at_once()) return;
    flight_ = block_cache::make<Flight>(*this);
    flight_->limit = limit;
    send_on();
}

// What mostly happens - one stretch, and the kernel takes it - needs no flight. True: all is sent, or nothing
// will be.
bool Outbox::send_at_once() {
    Reactor& reactor = *Reactor::current();
    const SharedBytes& stretch = first_->slices[first_->begin];
    if (stretch.size() != size_ || !reactor.traits().lends_scratch) return false;
    const int sent = reactor.send_now(fd_, stretch.bytes());
    if (sent == -EAGAIN) return false;
    if (sent < 0) {  // the kernel tells of a reset once: another try would hear something else
        error_ = sent;
        clear();
        return true;
    }
    drop_sent(static_cast<std::size_t>(sent));
    return size_ == 0;
}

// Sends until the queue is empty or the rest has to wait.
void Outbox::send_on() {
    Reactor& reactor = *Reactor::current();
    Flight& flight = *flight_;
    while (size_ > 0) {
        let_urgent_pass();
        std::uint32_t count = 0;
        for (Batch* batch = first_; batch != nullptr && count < Flight::parts_at_most; batch = batch->next) {
            for (std::uint32_t i = batch->begin; i < batch->end && count < Flight::parts_at_most; ++i) {
                flight.newest = &batch->slices[i];
                const Bytes bytes = flight.newest->bytes();
                flight.iovecs[count++] = {const_cast<std::byte*>(bytes.data()), bytes.size()};
            }
        }
        flight.parts = {.data = flight.iovecs.data(), .count = count, .done = 0};
        flight.deadline = after(reactor.now(), flight.limit);
        if (!reactor.submit(flight)) return;
        if (flight.result < 0) return end_flight(flight.result);
        drop_sent(static_cast<std::size_t>(flight.result));
    }
    end_flight(0);
}

void Outbox::Flight::completed(Operation& operation) noexcept {
    auto& flight = static_cast<Flight&>(operation);
    Outbox& outbox = flight.outbox;
    if (flight.paused && outbox.error_ == 0 && (flight.result >= 0 || flight.result == -ECANCELED)) {
        outbox.drop_sent(flight.parts.done);
        return outbox.end_flight(0);
    }
    if (outbox.error_ != 0 || flight.result < 0)
        return outbox.end_flight(outbox.error_ != 0 ? outbox.error_ : flight.result);
    outbox.drop_sent(static_cast<std::size_t>(flight.result));
    outbox.send_on();
}

void Outbox::drop_sent(std::size_t count) {
    size_ -= count;
    while (count > 0) {
        assert(first_ != nullptr);  // no more is sent than is queued
        SharedBytes& slice = first_->slices[first_->begin];
        if (count < slice.size()) {
            torn_ = true;
            return slice.drop_front(count);
        }
        count -= slice.size();
        slice = SharedBytes();
        torn_ = false;
        if (++first_->begin < first_->end) continue;
        Batch* const sent = first_;
        first_ = sent->next;
        if (first_ == nullptr) last_ = nullptr;
        block_cache::destroy(sent);
    }
}

void Outbox::end_flight(int error) {
    error_ = error;
    if (error != 0) clear();
    Flight* const flight = std::exchange(flight_, nullptr);
    while (Job* const job = flight->waiting_for_idle.pop()) Reactor::current()->ready(*job);
    block_cache::destroy(flight);
}

void Outbox::clear() {
    while (first_ != nullptr) block_cache::destroy(std::exchange(first_, first_->next));
    while (urgent_ != nullptr) block_cache::destroy(std::exchange(urgent_, urgent_->next));
    last_ = nullptr;
    size_ = 0;
    torn_ = false;
}

void Outbox::abandon(int error) {
    if (error_ == 0) error_ = error;
    if (flight_ != nullptr) {
        Reactor::current()->cancel(*flight_);  // what is queued goes when it has ended
    } else {
        clear();
    }
}

void Outbox::pause() {
    if (flight_ == nullptr) return;
    flight_->paused = true;
    Reactor::current()->cancel(*flight_);
}

std::string Outbox::withdraw() {
    assert(!sending());
    let_urgent_pass();
    std::string bytes;
    bytes.reserve(size_);
    for (const Batch* batch = first_; batch != nullptr; batch = batch->next) {
        for (std::uint32_t i = batch->begin; i < batch->end; ++i) {
            const Bytes slice = batch->slices[i].bytes();
            bytes.append(reinterpret_cast<const char*>(slice.data()), slice.size());
        }
    }
    clear();
    return bytes;
}

void Outbox::when_idle(Job& job) {
    assert(sending());
    flight_->waiting_for_idle.push(job);
}

bool Outbox::forget_when_idle(Job& job) {
    return flight_ != nullptr && flight_->waiting_for_idle.remove(job);
}

}  // namespace confab
