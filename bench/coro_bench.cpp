// What coroutines cost: awaiting, starting, joining and switching tasks, on an epoll reactor that watches a
// descriptor, as every server's does. Prints one JSON object: for each measure the CPU time of an operation
// in nanoseconds, a figure a batch, and its allocations; then the sizes of typical frames.
//
// Batches of all measures take turns, so that a slow moment of the machine hits all alike; the first of each
// warms the free lists and is not reported. Counts are fixed, so every run does the same work, and what the
// tasks reckon on the way must come out right.
#include <getopt.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <expected>
#include <utility>
#include <vector>

#include "coro/channel.hpp"
#include "coro/event.hpp"
#include "coro/listener.hpp"
#include "coro/mutex.hpp"
#include "coro/run.hpp"
#include "coro/scope.hpp"
#include "coro/sleep.hpp"
#include "coro/stream.hpp"
#include "coro/task.hpp"
#include "coro/timeout.hpp"
#include "pools/fd.hpp"
#include "reactor/thread_counts.hpp"

namespace confab::bench {
namespace {

/// So many operations of one measure: the clock around the parts that count, and the sum of what they do,
/// which is to add each its number.
class Batch {
  public:
    explicit Batch(std::uint64_t operations) : count(operations) {}

    void start() {
        allocations_ = thread_counts.allocations;
        start_ns_ = cpu_ns();
    }
    void stop() {
        nanoseconds += static_cast<double>(cpu_ns() - start_ns_);
        allocations += thread_counts.allocations - allocations_;
    }

    void add(std::uint64_t number) { sum += number; }
    void add_next() { sum += next_++; }
    bool is_right() const { return sum == count * (count - 1) / 2; }

    const std::uint64_t count;
    std::uint64_t sum = 0;
    double nanoseconds = 0;
    std::uint64_t allocations = 0;

  private:
    static std::int64_t cpu_ns() {
        timespec time{};
        if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) std::abort();
        return time.tv_sec * 1'000'000'000 + time.tv_nsec;
    }

    std::uint64_t next_ = 0;
    std::int64_t start_ns_ = 0;
    std::uint64_t allocations_ = 0;
};

// --- Awaiting and starting ------------------------------------------------------------------------------

constexpr std::uint64_t crowd = 100;  // tasks at once

// Made out of sight: a compiler that sees a frame's whole life may do without it.
[[gnu::noinline]] task<std::uint64_t> give(std::uint64_t value) { co_return value; }

[[gnu::noinline]] task<void> add(Batch& batch, std::uint64_t value) {
    batch.add(value);
    co_return;
}

task<void> await_ready(Batch& batch) {
    batch.start();
    for (std::uint64_t i = 0; i < batch.count; ++i) batch.add(co_await give(i));
    batch.stop();
}

task<void> join_ready(Batch& batch) {
    scope tasks;
    const child<void> over = tasks.spawn(add(batch, 0));
    co_await tasks.join();
    batch.start();
    for (std::uint64_t i = 0; i < batch.count; ++i) {
        co_await over.join();
        batch.add(i);
    }
    batch.stop();
}

// A crowd at a time: what is measured is the await, not the cache misses of a huge crowd.
task<void> get_ready(Batch& batch) {
    std::vector<child<std::uint64_t>> over;
    scope tasks;
    for (std::uint64_t first = 0; first < batch.count; first += crowd) {
        const std::uint64_t end = std::min(first + crowd, batch.count);
        for (std::uint64_t i = first; i < end; ++i) over.push_back(tasks.spawn(give(i)));
        co_await tasks.join();
        batch.start();
        for (const child<std::uint64_t>& each : over) batch.add(co_await each.get());
        batch.stop();
        over.clear();
    }
}

task<void> spawn_and_join(Batch& batch) {
    scope tasks;
    batch.start();
    for (std::uint64_t i = 0; i < batch.count; ++i) {
        const child<void> work = tasks.spawn(add(batch, i));
        co_await work.join();
    }
    batch.stop();
    co_await tasks.join();
}

task<void> spawn_and_join_crowds(Batch& batch) {
    scope tasks;
    batch.start();
    for (std::uint64_t first = 0; first < batch.count; first += crowd) {
        const std::uint64_t end = std::min(first + crowd, batch.count);
        for (std::uint64_t i = first; i < end; ++i) tasks.spawn(add(batch, i));
        co_await tasks.join();
    }
    batch.stop();
}

// --- Switching: two tasks in turns; one operation is one of them going on -------------------------------

task<void> set_and_wait(Batch& batch, event& mine, event& other) {
    for (std::uint64_t i = 0; i < batch.count / 2; ++i) {
        co_await mine.wait();
        mine.clear();
        batch.add_next();
        other.set();
    }
}

task<void> switch_by_event(Batch& batch) {
    event first(true), second;
    scope tasks;
    tasks.spawn(set_and_wait(batch, first, second));
    tasks.spawn(set_and_wait(batch, second, first));
    batch.start();
    co_await tasks.join();
    batch.stop();
}

task<void> lock_and_unlock(Batch& batch, mutex& contended) {
    for (std::uint64_t i = 0; i < batch.count / 2; ++i) {
        const mutex::guard held = co_await contended.lock();
        batch.add_next();
    }
}

task<void> switch_by_mutex(Batch& batch) {
    mutex contended;
    mutex::guard held = contended.try_lock();
    scope tasks;
    for (int i = 0; i < 2; ++i) tasks.spawn(lock_and_unlock(batch, contended));
    co_await sleep(Duration::zero());  // both are in line, and so they stay
    batch.start();
    held.unlock();
    co_await tasks.join();
    batch.stop();
}

task<void> put_all(Batch& batch, channel<std::uint64_t>& values) {
    for (std::uint64_t i = 0; i < batch.count; ++i) static_cast<void>(co_await values.put(i));
}

task<void> get_all(Batch& batch, channel<std::uint64_t>& values) {
    for (std::uint64_t i = 0; i < batch.count; ++i) {
        const std::expected<std::uint64_t, channel_error> value = co_await values.get();
        batch.add(*value);
    }
}

task<void> through_channel(Batch& batch, std::size_t capacity) {
    channel<std::uint64_t> values(capacity);
    for (std::size_t i = 0; i < capacity; ++i) static_cast<void>(values.try_put(i));  // its memory is set up
    for (std::size_t i = 0; i < capacity; ++i) static_cast<void>(values.try_get());
    scope tasks;
    tasks.spawn(put_all(batch, values));
    tasks.spawn(get_all(batch, values));
    batch.start();
    co_await tasks.join();
    batch.stop();
}

task<void> through_rendezvous(Batch& batch) { return through_channel(batch, 0); }
task<void> through_queue(Batch& batch) { return through_channel(batch, 64); }

task<void> let_others_run(Batch& batch) {
    for (std::uint64_t i = 0; i < batch.count / 2; ++i) {
        co_await sleep(Duration::zero());
        batch.add_next();
    }
}

task<void> switch_by_sleep(Batch& batch) {
    scope tasks;
    for (int i = 0; i < 2; ++i) tasks.spawn(let_others_run(batch));
    batch.start();
    co_await tasks.join();
    batch.stop();
}

// --- Frames ---------------------------------------------------------------------------------------------

task<void> nap() { co_await sleep(Duration::zero()); }

task<void> echo(Stream& stream) {
    while (true) {
        const Received bytes = co_await stream.receive();
        if (!bytes || bytes->empty()) co_return;
        const Sent sent = co_await stream.send(*bytes);
        if (!sent) co_return;
    }
}

task<void> await_another() {
    co_await nap();
    co_await nap();
}

template <class Make>
[[gnu::noinline]] auto make_out_of_sight(Make make) {
    return make();
}

template <class Make>
std::uint64_t frame_bytes(Make make) {
    const std::uint64_t before = thread_counts.frame_bytes;
    const auto unstarted = make_out_of_sight(make);
    return thread_counts.frame_bytes - before;
}

void print_frames(Reactor& reactor) {
    Stream stream(reactor, -1);
    auto print = [first = true](const char* name, std::uint64_t bytes) mutable {
        std::printf("%s\"%s\":%llu", std::exchange(first, false) ? "" : ",", name,
                    static_cast<unsigned long long>(bytes));
    };
    print("gives a number", frame_bytes([] { return give(1); }));
    print("sleeps", frame_bytes([] { return nap(); }));
    print("awaits two others", frame_bytes([] { return await_another(); }));
    print("echo handler", frame_bytes([&] { return echo(stream); }));
    print("with_timeout",
          frame_bytes([] { return with_timeout(no_limit, nap()); }) - frame_bytes([] { return nap(); }));
    print("record of a spawned task", sizeof(ChildBase));
}

// --- The run --------------------------------------------------------------------------------------------

struct Measure {
    const char* name;
    task<void> (*run)(Batch&);
};

constexpr std::array measures{
    Measure{"await a ready task", &await_ready},
    Measure{"join a ready child", &join_ready},
    Measure{"get from a ready child", &get_ready},
    Measure{"spawn and join", &spawn_and_join},
    Measure{"spawn and join, 100 at once", &spawn_and_join_crowds},
    Measure{"switch by event", &switch_by_event},
    Measure{"switch by mutex", &switch_by_mutex},
    Measure{"switch by sleep(0)", &switch_by_sleep},
    Measure{"value through a channel of 64", &through_queue},
    Measure{"value through a channel of 0", &through_rendezvous},
};

struct Figures {
    std::vector<double> nanoseconds;  // per operation, a figure a batch
    std::uint64_t allocations = 0;
};

struct Options {
    std::uint64_t batches = 40;
    std::uint64_t count = 100'000;  // operations a batch; even
};

// What the reactor watches meanwhile; it never happens.
task<void> watch(int fd) { static_cast<void>(co_await poll_events(fd, POLLIN)); }

task<bool> run_all(const Options& options, std::array<Figures, measures.size()>& figures, int watched,
                   std::uint64_t& checksum) {
    scope background;
    const child<void> watching = background.spawn(watch(watched));
    bool right = true;
    for (std::uint64_t round = 0; round <= options.batches; ++round) {
        for (std::size_t i = 0; i < measures.size(); ++i) {
            Batch batch(options.count);
            co_await measures[i].run(batch);
            right = right && batch.is_right();
            checksum += batch.sum;
            if (round == 0) continue;
            figures[i].nanoseconds.push_back(batch.nanoseconds / static_cast<double>(batch.count));
            figures[i].allocations += batch.allocations;
        }
    }
    watching.kill();
    co_await background.join();
    co_return right;
}

int measure_and_print(const Options& options) {
    Reactor reactor(ReactorOptions{});
    const Fd watched(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!watched) {
        std::perror("coro_bench: eventfd");
        return 1;
    }
    std::array<Figures, measures.size()> figures;
    std::uint64_t checksum = 0;
    const bool right = run(reactor, run_all(options, figures, watched.get(), checksum));
    std::printf("{\"batches\":%llu,\"count\":%llu,\"checksum\":%llu,\"measures\":{",
                static_cast<unsigned long long>(options.batches),
                static_cast<unsigned long long>(options.count), static_cast<unsigned long long>(checksum));
    for (std::size_t i = 0; i < measures.size(); ++i) {
        std::printf("%s\"%s\":{\"allocations\":%llu,\"nanoseconds\":[", i == 0 ? "" : ",", measures[i].name,
                    static_cast<unsigned long long>(figures[i].allocations));
        for (std::size_t n = 0; n < figures[i].nanoseconds.size(); ++n)
            std::printf("%s%.2f", n == 0 ? "" : ",", figures[i].nanoseconds[n]);
        std::fputs("]}", stdout);
    }
    std::fputs("},\"frames\":{", stdout);
    print_frames(reactor);
    std::fputs("}}\n", stdout);
    if (!right) std::fputs("coro_bench: the tasks reckoned wrong\n", stderr);
    return right ? 0 : 1;
}

constexpr const char* usage = R"(usage: coro_bench [--batches N] [--count N]
  --batches N   samples of each measure (default 40)
  --count N     operations a batch, rounded up to an even number (default 100000)
)";

std::uint64_t parse_number(const char* name, const char* text) {
    std::uint64_t value = 0;
    const char* const end = text + std::strlen(text);
    const auto [rest, error] = std::from_chars(text, end, value);
    if (error != std::errc() || rest != end || value == 0 || value > 1'000'000'000) {
        std::fprintf(stderr, "coro_bench: --%s %s: a number from 1 to 1000000000\n", name, text);
        std::exit(2);
    }
    return value;
}

Options parse(int argc, char** argv) {
    static constexpr std::array<option, 4> known{{{"batches", required_argument, nullptr, 'b'},
                                                  {"count", required_argument, nullptr, 'c'},
                                                  {"help", no_argument, nullptr, 'h'},
                                                  {nullptr, 0, nullptr, 0}}};
    Options options;
    for (int letter; (letter = getopt_long(argc, argv, "", known.data(), nullptr)) != -1;) {
        if (letter == '?') std::exit(2);
        if (letter == 'h') {
            std::fputs(usage, stdout);
            std::exit(0);
        }
        if (letter == 'b') options.batches = parse_number("batches", optarg);
        if (letter == 'c') options.count = (parse_number("count", optarg) + 1) / 2 * 2;
    }
    if (optind != argc) {
        std::fputs(usage, stderr);
        std::exit(2);
    }
    return options;
}

}  // namespace
}  // namespace confab::bench

int main(int argc, char** argv) { return confab::bench::measure_and_print(confab::bench::parse(argc, argv)); }
