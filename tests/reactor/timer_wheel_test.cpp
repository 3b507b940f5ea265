#include "reactor/timer_wheel.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <vector>

using namespace confab;
using namespace std::chrono_literals;

namespace {

constexpr Duration tick{1 << 20};

Instant at(Duration since) { return Instant(since); }

// What the wheel promises, by a sorted map: a timer's tick is the first one at or after its deadline, and no
// earlier than the tick in which it was inserted.
struct Timer : TimerNode {
    std::int64_t due_tick = 0;
};

class Reference {
  public:
    explicit Reference(std::uint64_t seed) : random_(seed), now_(random_in(0, 1'000'000)), wheel_(at(now_)) {}

    void step() {
        switch (random_() % 8) {
            case 0:
            case 1:
            case 2:
            case 3:
                insert();
                break;
            case 4:
                remove();
                break;
            case 5:
                expire(to_next());
                break;
            default:
                expire(now_ + Duration(random_in(0, std::int64_t{1} << (random_() % 40))));
        }
        CHECK(wheel_.size() == timers_.size());
        CHECK(wheel_.empty() == timers_.empty());
        check_next();
    }

    void finish() {
        while (!timers_.empty()) expire(to_next());
        CHECK(wheel_.next() == never);
    }

  private:
    std::int64_t random_in(std::int64_t low, std::int64_t high) {
        return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
    }
    std::int64_t tick_of(Duration now) const { return now / tick; }

    void insert() {
        auto timer = std::make_unique<Timer>();
        const std::int64_t distance = random_in(-5, std::int64_t{1} << (random_() % 52));
        timer->deadline = at(now_ + Duration(distance));
        if (random_() % 4 == 0) {  // on a tick, or right beside one
            timer->deadline =
                at((timer->deadline.time_since_epoch() / tick) * tick + Duration(random_in(-1, 1)));
        }
        const Duration since = timer->deadline.time_since_epoch();
        timer->due_tick = std::max((since.count() + tick.count() - 1) / tick.count(), tick_of(now_));
        wheel_.insert(*timer);
        CHECK(timer->armed());
        timers_.push_back(std::move(timer));
    }

    void remove() {
        if (timers_.empty()) return;
        const auto victim = timers_.begin() + random_in(0, static_cast<std::int64_t>(timers_.size()) - 1);
        wheel_.remove(**victim);
        CHECK_FALSE((*victim)->armed());
        timers_.erase(victim);
    }

    Duration to_next() {
        const Instant next = wheel_.next();
        return next == never ? now_ : std::max(now_, next.time_since_epoch());
    }

    void expire(Duration now) {
        now_ = now;
        std::int64_t last_tick = 0;
        wheel_.expire(at(now_), [&](TimerNode& node) {
            auto& timer = static_cast<Timer&>(node);
            CHECK_FALSE(timer.armed());
            CHECK(timer.due_tick <= tick_of(now_));
            CHECK(timer.due_tick >= last_tick);
            CHECK(timer.deadline <= at(now_));
            last_tick = timer.due_tick;
            std::erase_if(timers_, [&](const auto& each) { return each.get() == &timer; });
            if (random_() % 16 == 0) remove();  // perhaps one that is due as well
            if (random_() % 16 == 0) {
                const std::size_t before = timers_.size();
                insert();
                if (timers_.back()->due_tick <= tick_of(now_))
                    last_tick = std::min(last_tick, timers_.back()->due_tick);
                CHECK(timers_.size() == before + 1);
            }
        });
        for (const auto& timer : timers_) CHECK(timer->due_tick > tick_of(now_));
    }

    // No later than the first tick, and no timer before it.
    void check_next() {
        std::int64_t first = INT64_MAX;
        for (const auto& timer : timers_) first = std::min(first, timer->due_tick);
        const Instant next = wheel_.next();
        if (timers_.empty()) {
            CHECK(next == never);
        } else if (next != Instant::min()) {
            CHECK(next <= at(first * tick));
            CHECK(next > at(now_));
        } else {
            CHECK(first <= tick_of(now_));
        }
    }

    std::mt19937_64 random_;
    Duration now_;
    TimerWheel wheel_;
    std::vector<std::unique_ptr<Timer>> timers_;
};

std::vector<TimerNode*> expired(TimerWheel& wheel, Instant now) {
    std::vector<TimerNode*> nodes;
    wheel.expire(now, [&](TimerNode& node) { nodes.push_back(&node); });
    return nodes;
}

}  // namespace

TEST_CASE("a timer wheel does what a sorted map would") {
    std::vector<std::uint64_t> seeds{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    seeds.push_back(std::random_device{}());
    for (const std::uint64_t seed : seeds) {
        INFO("seed ", seed);
        Reference reference(seed);
        for (int i = 0; i < 2000; ++i) reference.step();
        reference.finish();
    }
}

TEST_CASE("a timer fires in the tick of its deadline or the one after it, at every distance") {
    for (int bits = 0; bits < 42; ++bits) {
        for (const std::int64_t beside : {-1, 0, 1}) {
            const std::int64_t ticks = (std::int64_t{1} << bits) + beside;
            if (ticks <= 0) continue;
            CAPTURE(ticks);
            const Instant start = at(777 * tick);
            {
                TimerWheel wheel(start);
                TimerNode on_tick;
                on_tick.deadline = start + ticks * tick;
                wheel.insert(on_tick);
                CHECK(wheel.next() <= on_tick.deadline);
                CHECK(expired(wheel, on_tick.deadline - Duration(1)).empty());
                CHECK(expired(wheel, on_tick.deadline).size() == 1);
            }
            {
                TimerWheel wheel(start);
                TimerNode after_tick;
                after_tick.deadline = start + ticks * tick + Duration(1);
                wheel.insert(after_tick);
                CHECK(expired(wheel, start + (ticks + 1) * tick - Duration(1)).empty());
                CHECK(expired(wheel, start + (ticks + 1) * tick).size() == 1);
            }
        }
    }
}

TEST_CASE("a timer that stands alone is waited for exactly, however far away") {
    const Instant start = at(123456789s);
    for (const Duration distance : {Duration(5ms), Duration(3s), Duration(300s), Duration(100h)}) {
        TimerWheel wheel(start);
        TimerNode node;
        node.deadline = start + distance;
        wheel.insert(node);
        CHECK(wheel.next() >= node.deadline);
        CHECK(wheel.next() < node.deadline + tick);
        wheel.remove(node);
        CHECK(wheel.next() == never);
    }
}

TEST_CASE("timers of one tick fire in the order in which they were inserted") {
    TimerWheel wheel(at(0s));
    std::vector<TimerNode> nodes(10);
    for (TimerNode& node : nodes) {
        node.deadline = at(70 * tick + Duration(&node - nodes.data()));
        wheel.insert(node);
    }
    const auto fired = expired(wheel, at(1s));
    REQUIRE(fired.size() == 10);
    CHECK(std::is_sorted(fired.begin(), fired.end()));
}

TEST_CASE("a timer that has passed when it is inserted fires at the next look") {
    TimerWheel wheel(at(10s));
    TimerNode node;
    node.deadline = at(5s);
    wheel.insert(node);
    CHECK(wheel.next() == Instant::min());
    CHECK(expired(wheel, at(10s)).size() == 1);
}

TEST_CASE("a timer beyond the wheel's reach stays armed") {
    TimerWheel wheel(at(10s));
    TimerNode node;
    node.deadline = never;
    wheel.insert(node);
    CHECK(wheel.next() > at(365 * 24h));
    CHECK(expired(wheel, at(365 * 24h)).empty());
    CHECK(node.armed());
    wheel.remove(node);
    CHECK(wheel.empty());
}

TEST_CASE("a timer that fires may remove one that is due with it") {
    TimerWheel wheel(at(0s));
    TimerNode first;
    TimerNode second;
    TimerNode third;
    first.deadline = second.deadline = third.deadline = at(1s);
    for (TimerNode* node : {&first, &second, &third}) wheel.insert(*node);
    std::vector<TimerNode*> fired;
    wheel.expire(at(2s), [&](TimerNode& node) {
        fired.push_back(&node);
        if (&node == &first) wheel.remove(second);
    });
    CHECK(fired == std::vector<TimerNode*>{&first, &third});
    CHECK_FALSE(second.armed());
    CHECK(wheel.empty());
}

TEST_CASE("a timer that fires may insert itself anew") {
    TimerWheel wheel(at(0s));
    TimerNode node;
    node.deadline = at(1s);
    wheel.insert(node);
    int times = 0;
    for (int second = 1; second <= 5; ++second) {
        wheel.expire(at(Duration(second * 1s) + tick), [&](TimerNode& fired) {
            ++times;
            fired.deadline += 1s;
            wheel.insert(fired);
        });
        CHECK(times == second);
    }
    wheel.remove(node);
}

TEST_CASE("a timer that is put off where it stands fires when it is due, and hides no other") {
    TimerWheel wheel(at(0 * tick));
    TimerNode put_off{.deadline = at(200 * tick)};
    TimerNode other{.deadline = at(1000 * tick)};
    wheel.insert(put_off);
    wheel.insert(other);
    put_off.deadline = at(10'000 * tick);
    std::vector<const TimerNode*> fired;
    Instant now = at(0 * tick);
    for (int i = 0; !wheel.empty() && i < 100; ++i) {
        now = wheel.next();
        wheel.expire(now, [&](TimerNode& node) {
            CHECK(now == node.deadline);
            fired.push_back(&node);
        });
    }
    CHECK(fired == std::vector<const TimerNode*>{&other, &put_off});
}
