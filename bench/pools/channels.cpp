// What handing values over costs: between threads, beside oneTBB's queue and what one would write with a
// mutex and a condition; between processes, beside a pipe.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#ifdef CONFAB_HAS_TBB
#include <tbb/concurrent_queue.h>
#endif

#include "bench/pools/measures.hpp"
#include "pools/processes/channel.hpp"
#include "pools/threads/channel.hpp"

namespace confab::bench {
namespace {

#ifdef CONFAB_HAS_TBB
class TbbQueue {
  public:
    explicit TbbQueue(std::size_t room) { queue_.set_capacity(static_cast<std::ptrdiff_t>(room)); }
    void put(std::uint64_t value) { queue_.push(value); }
    std::uint64_t get() {
        std::uint64_t value = 0;
        queue_.pop(value);
        return value;
    }

  private:
    tbb::concurrent_bounded_queue<std::uint64_t> queue_;
};
#endif

class HandWritten {
  public:
    explicit HandWritten(std::size_t room) : room_(room) {}
    void put(std::uint64_t value) {
        std::unique_lock lock(mutex_);
        has_room_.wait(lock, [this] { return values_.size() < room_; });
        values_.push_back(value);
        has_value_.notify_one();
    }
    std::uint64_t get() {
        std::unique_lock lock(mutex_);
        has_value_.wait(lock, [this] { return !values_.empty(); });
        const std::uint64_t value = values_.front();
        values_.pop_front();
        has_room_.notify_one();
        return value;
    }

  private:
    const std::size_t room_;
    std::mutex mutex_;
    std::condition_variable has_value_;
    std::condition_variable has_room_;
    std::deque<std::uint64_t> values_;
};

class Ours {
  public:
    explicit Ours(std::size_t room) : channel_(room) {}
    void put(std::uint64_t value) { (void)channel_.put(value); }
    std::uint64_t get() { return *channel_.get(); }

  private:
    threads::channel<std::uint64_t> channel_;
};

class OursBetweenProcesses {
  public:
    explicit OursBetweenProcesses(std::size_t room) : channel_(room) {}
    void put(std::uint64_t value) { (void)channel_.put(value); }
    std::uint64_t get() { return *channel_.get(); }

  private:
    processes::channel<std::uint64_t> channel_;
};

// 64 KiB of room, whatever is asked for.
class Pipe {
  public:
    explicit Pipe(std::size_t) {
        if (::pipe2(ends_.data(), O_CLOEXEC) != 0) std::abort();
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe() {
        for (const int end : ends_) ::close(end);
    }
    void put(std::uint64_t value) {
        if (::write(ends_[1], &value, sizeof value) != sizeof value) std::abort();
    }
    std::uint64_t get() {
        std::uint64_t value = 0;
        if (::read(ends_[0], &value, sizeof value) != sizeof value) std::abort();
        return value;
    }

  private:
    std::array<int, 2> ends_{};
};

constexpr std::uint64_t sum_below(std::uint64_t count) { return count * (count - 1) / 2; }

// One operation: a put and a get.
template <class Queue>
Sample alone(std::uint64_t count) {
    const auto queue = std::make_unique<Queue>(16);
    std::uint64_t sum = 0;
    const double spent = time_of([&] {
        for (std::uint64_t i = 0; i < count; ++i) {
            queue->put(i);
            sum += queue->get();
        }
    });
    return {spent, sum == sum_below(count)};
}

// One operation: a value put by one thread of `pairs` and got by another.
template <class Queue, std::size_t pairs, std::size_t room>
Sample handed_over(std::uint64_t count) {
    const std::uint64_t each = count / pairs;
    const auto queue = std::make_unique<Queue>(room);
    std::array<std::uint64_t, 2 * pairs> sums{};
    const double spent = time_of_threads<2 * pairs>([&](int number) {
        const auto self = static_cast<std::size_t>(number);
        for (std::uint64_t i = 0; i < each; ++i) {
            if (self < pairs) {
                queue->put(i);
            } else {
                sums[self] += queue->get();
            }
        }
    });
    std::uint64_t sum = 0;
    for (const std::uint64_t part : sums) sum += part;
    return {spent * static_cast<double>(count) / static_cast<double>(each * pairs),
            sum == pairs * sum_below(each)};
}

// One operation: a value goes to the other thread, and comes back.
template <class Queue>
Sample there_and_back(std::uint64_t count) {
    const auto there = std::make_unique<Queue>(1);
    const auto back = std::make_unique<Queue>(1);
    std::uint64_t sum = 0;
    const double spent = time_of_threads<2>([&](int number) {
        for (std::uint64_t i = 0; i < count; ++i) {
            if (number == 1) {
                back->put(there->get());
            } else {
                there->put(i);
                sum += back->get();
            }
        }
    });
    return {spent, sum == sum_below(count)};
}

// One operation: a value put by one process and got by another.
template <class Queue>
Sample between_processes(std::uint64_t count) {
    const auto queue = std::make_unique<Queue>(1024);
    std::uint64_t sum = 0;
    int status = 1;
    const double spent = time_of([&] {
        const pid_t putter = ::fork();
        if (putter < 0) std::abort();
        if (putter == 0) {
            for (std::uint64_t i = 0; i < count; ++i) queue->put(i);
            ::_exit(0);
        }
        for (std::uint64_t i = 0; i < count; ++i) sum += queue->get();
        ::waitpid(putter, &status, 0);
    });
    return {spent, sum == sum_below(count) && status == 0};
}

template <class Queue>
void enter(std::vector<Contender>& all, const std::string& name) {
    all.push_back({"put and get, alone", name, alone<Queue>});
    all.push_back({"one to one, room for 16", name, handed_over<Queue, 1, 16>});
    all.push_back({"one to one, room for 1024", name, handed_over<Queue, 1, 1024>});
    all.push_back({"two to two, room for 1024", name, handed_over<Queue, 2, 1024>});
    all.push_back({"there and back", name, there_and_back<Queue>, 20});
}

std::vector<Contender> contenders() {
    std::vector<Contender> all;
#ifdef CONFAB_HAS_TBB
    enter<TbbQueue>(all, "oneTBB's concurrent_bounded_queue");
#endif
    enter<HandWritten>(all, "mutex, condition, deque");
    enter<Ours>(all, "threads::channel");
    all.push_back({"between processes", "pipe", between_processes<Pipe>});
    all.push_back({"between processes", "processes::channel", between_processes<OursBetweenProcesses>});
    // Contenders of one measure together, in their order.
    std::vector<Contender> sorted;
    for (const Contender& first : all) {
        if (std::ranges::any_of(sorted, [&](const Contender& it) { return it.measure == first.measure; }))
            continue;
        std::ranges::copy_if(all, std::back_inserter(sorted),
                             [&](const Contender& it) { return it.measure == first.measure; });
    }
    return sorted;
}

}  // namespace
}  // namespace confab::bench

int main(int argc, char** argv) {
    using namespace confab::bench;
    return measure_and_print("channels_bench", parse_options("channels_bench", argc, argv), contenders());
}
