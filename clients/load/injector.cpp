#include "clients/load/injector.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace confab::load {

Injector::Injector(Reactor& reactor, std::optional<Arrivals> arrivals)
    : timer_(reactor), arrivals_(std::move(arrivals)) {}

Injector::~Injector() { assert(first_ == nullptr && "who waits for messages has been taken off"); }

void Injector::want(Taker& taker) {
    assert(taker.previous_ == nullptr);
    if (first_ == nullptr) {
        taker.next_ = taker.previous_ = first_ = &taker;
    } else {
        taker.next_ = first_;
        taker.previous_ = first_->previous_;
        taker.previous_->next_ = first_->previous_ = &taker;
    }
    if (!open_) return;
    if (arrivals_) taker.waits_since_ = now();
    hand_out();
}

void Injector::take_off(Taker& taker) {
    if (taker.previous_ == nullptr) return;
    taker.previous_->next_ = taker.next_;
    taker.next_->previous_ = taker.previous_;
    if (first_ == &taker) first_ = taker.next_ == &taker ? nullptr : taker.next_;
    taker.next_ = taker.previous_ = nullptr;
}

void Injector::open(Instant start) {
    open_ = true;
    if (arrivals_) arrivals_->begin(start);
    wanted_.set();
}

std::uint64_t Injector::close(Instant end, Histogram& waits) {
    open_ = false;
    std::uint64_t left = 0;
    for (; arrivals_ && arrivals_->next() <= end; arrivals_->pop(), ++left)
        waits.record(end - arrivals_->next());
    return left;
}

void Injector::change_rate(double rate) {
    if (arrivals_) arrivals_->change_rate(now(), rate);
}

void Injector::hand_out() {
    if (handing_out_) return;  // a taker that wants more from within `take`: the loop below sees it
    handing_out_ = true;
    Instant time = arrivals_ ? now() : Instant::min();
    while (first_ != nullptr && open_) {
        Taker& taker = *first_;
        Instant due = time;
        if (arrivals_) {
            due = arrivals_->next();
            if (due > time) break;
            arrivals_->pop();
            if (taker.waits_since_ <= due) lateness_.record(time - due);
        }
        // The next one's turn, whether or not this one has room left.
        first_ = taker.next_;
        if (!taker.take(due)) take_off(taker);
    }
    handing_out_ = false;
    if (arrivals_ && first_ != nullptr) wanted_.set();
}

task<void> Injector::pace() {
    std::exception_ptr ended;
    try {
        co_await pace_on();
    } catch (...) {
        ended = std::current_exception();
    }
    co_await timer_.close();
    std::rethrow_exception(ended);
}

task<void> Injector::pace_on() {
    while (true) {
        co_await wanted_.wait();
        wanted_.clear();
        if (!open_) continue;
        hand_out();
        while (arrivals_ && open_ && first_ != nullptr) {
            const Instant time = now();
            co_await timer_.wait_until(
                std::clamp(arrivals_->next(), after(time, least_pause), after(time, longest_pause)));
            hand_out();
        }
        wanted_.clear();
    }
}

}  // namespace confab::load
