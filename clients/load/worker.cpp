#include "clients/load/worker.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "clients/load/chat_load.hpp"
#include "clients/load/cpu_time.hpp"
#include "clients/load/echo_dialogue.hpp"
#include "clients/load/http_dialogue.hpp"
#include "clients/load/request_load.hpp"
#include "coro/sleep.hpp"

namespace confab::load {

namespace {

std::optional<Arrivals> arrivals_of(const LoadOptions& options, WorkShare share) {
    if (!options.rate) return std::nullopt;
    return Arrivals(*options.rate, options.spacing, {.index = share.index, .of = share.of}, options.seed);
}

std::uint64_t target_of(const LoadOptions& options, WorkShare share) {
    return options.count == 0 ? 0 : std::max<std::uint64_t>(share.part(options.count), 1);
}

// As many HTTP requests as are sent at once.
std::string requests_of(const LoadOptions& options) {
    std::string requests;
    if (options.app != App::http) return requests;
    const std::string request = http_request(options.http_host, options.http_path, options.churn);
    for (std::size_t i = 0; i < options.pipeline; ++i) requests += request;
    return requests;
}

std::unique_ptr<Driver> make_driver(const LoadOptions& options, WorkShare share, const Pattern& pattern,
                                    std::string_view requests, Wiring wiring) {
    if (options.app == App::chat) {
        return make_chat_load({.connections = options.connections,
                               .rooms = options.rooms,
                               .size = options.size,
                               .pipeline = options.pipeline,
                               .slow_readers = options.slow_readers,
                               .burst = options.burst,
                               .session = options.session,
                               .share = share},
                              wiring);
    }
    auto dialogues =
        options.app == App::http
            ? make_http_dialogues(requests, requests.size() / options.pipeline, !options.any_body)
            : make_echo_dialogues(pattern, options.size, share.before(options.connections));
    return make_request_load({.connections = share.part(options.connections),
                              .pipeline = options.pipeline,
                              .churn = options.churn},
                             std::move(dialogues), wiring);
}

// What bystanders say: a message, and what those send who never stop.
Bystanders make_bystanders(const LoadOptions& options, WorkShare share, const Pattern& pattern,
                           std::string_view requests, Wiring wiring) {
    constexpr std::size_t piece = 32 * 1024;
    const Bytes all =
        options.app == App::http ? as_bytes(requests) : pattern.sent(0, std::min(piece, pattern.longest()));
    const std::size_t message = options.app == App::http ? requests.size() / options.pipeline : options.size;
    return {{.idle = share.part(options.idle),
             .dribblers = share.part(options.dribblers),
             .slow_readers = options.app == App::chat ? 0 : share.part(options.slow_readers)},
            all.first(std::min(message, all.size())),
            all,
            wiring};
}

}  // namespace

Duration block_length(const LoadOptions& options) {
    constexpr Duration longest = std::chrono::seconds(1), shortest = std::chrono::milliseconds(10);
    return std::clamp<Duration>(options.duration / 10, shortest, longest);
}

Worker::Worker(Reactor& reactor, const LoadOptions& options, WorkShare share, const Endpoint& server,
               const Pattern& pattern, Listener& listener, SimulatedNetwork* network)
    : reactor_(reactor),
      options_(options),
      share_(share),
      listener_(listener),
      dialer_(server, options.connect_limit, static_cast<std::uint32_t>(share.before(options.connections)),
              network),
      injector_(reactor, arrivals_of(options, share)),
      traffic_(options.rate.has_value()),
      requests_(requests_of(options)),
      driver_(
          make_driver(options, share, pattern, requests_,
                      {.reactor = reactor, .dialer = dialer_, .injector = injector_, .traffic = traffic_})),
      bystanders_(make_bystanders(
          options, share, pattern, requests_,
          {.reactor = reactor, .dialer = dialer_, .injector = injector_, .traffic = traffic_})),
      hiccup_timer_(reactor) {}

Worker::~Worker() = default;

void Worker::go(Instant start) {
    start_ = start;
    go_.set();
}

void Worker::finish() {
    interrupted_ = true;
    bystanders_.settled().set();
    driver_->settled().set();
    go_.set();
    traffic_.enough().set();
}

task<LoadResult> Worker::run() {
    LoadResult result;
    result.open_loop = injector_.is_open_loop();
    scope tasks;
    std::exception_ptr failure;
    try {
        tasks.spawn(injector_.pace(), "pace");
        bystanders_.spawn_all(tasks);
        co_await all_present();
        driver_->spawn_all(tasks);
        co_await all_connected();
        if (driver_->open_connections() > 0) driver_->settled().clear();
        listener_.connected(*this);
        co_await go_.wait();
        tasks.spawn(watch_hiccups(), "hiccups");
        co_await load_and_measure(result);
    } catch (...) {
        failure = std::current_exception();
    }
    tasks.request_stop();
    co_await tasks.join();
    if (failure) std::rethrow_exception(failure);
    result.corrected.add(traffic_.corrected());  // of those given up on
    result.uncorrected.add(traffic_.uncorrected());
    result.faults = driver_->faults();
    result.bytes = traffic_.bytes();
    const Attendance attendance = driver_->attendance();
    result.served = attendance.served;
    result.starved = attendance.starved;
    result.answers = attendance.answers;
    result.bystanders = bystanders_.present();
    result.answered = traffic_.messages();
    result.first_loss = driver_->first_loss();
    result.health.hiccups.add(hiccups_);
    result.mechanism = reactor_.description();
    result.warning = reactor_.warning();
    result.interrupted = interrupted_;
    co_return result;
}

// A server that gets round to some of them only is not waited for without end, one that gets on is.
task<void> Worker::all_present() {
    std::size_t before = options_.bystanders() + 1;
    while (!bystanders_.settled().is_set() && bystanders_.present() != before) {
        before = bystanders_.present();
        co_await bystanders_.settled().wait_for(options_.connect_limit);
    }
}

// In a chat to be connected is to have been greeted, and some servers never get round to all: as long as they
// get on, they are waited for.
task<void> Worker::all_connected() {
    std::size_t before = options_.connections + 1;
    while (!driver_->settled().is_set() && driver_->open_connections() != before) {
        before = driver_->open_connections();
        co_await driver_->settled().wait_for(options_.connect_limit);
    }
    driver_->wait_no_longer();
}

task<void> Worker::load_and_measure(LoadResult& result) {
    injector_.open(start_);
    co_await settle();
    if (co_await lasts(options_.warmup)) co_await measure(result);
    co_await drain(result);
}

// A server that never serves some of them is not waited for without end.
task<void> Worker::settle() {
    if (options_.settle > 0 && !is_over()) {
        traffic_.aim(options_.settle * share_.part(options_.connections));
        co_await traffic_.enough().wait_for(options_.connect_limit);
    }
    if (!interrupted_ && driver_->open_connections() > 0) traffic_.aim(target_of(options_, share_));
}

// False: the load was over before.
task<bool> Worker::lasts(Duration time) {
    if (is_over()) co_return false;
    co_await traffic_.enough().wait_for(time);
    co_return !is_over();
}

Worker::Reading Worker::read() const {
    // One of the workers looks at what belongs to all.
    const bool for_all = share_.index == 0;
    return {.time = injector_.now(),
            .messages = traffic_.messages(),
            .cpu = for_all ? own_cpu_time() : Duration::zero(),
            .server_cpu = for_all ? cpu_time_of(options_.server) : Duration::zero(),
            .stolen = for_all ? stolen_time() : Duration::zero()};
}

task<void> Worker::measure(LoadResult& result) {
    injector_.forget_lateness();
    hiccups_.clear();
    const Reading first = read();
    traffic_.open(first.time);
    const Duration step = block_length(options_);
    const Instant end = options_.duration > Duration::zero() ? after(first.time, options_.duration) : never;
    Reading last = first;
    Instant due = first.time;
    while (last.time < end && !is_over()) {
        due = std::min(due + step, end);
        co_await lasts(due - last.time);
        const std::uint64_t before = last.messages;
        const Instant begun = last.time;
        last = read();
        listener_.measured({.length = last.time - begun,
                            .messages = last.messages - before,
                            .faults = driver_->faults().all(),
                            .latency = traffic_.corrected().buckets()});
        result.corrected.add(traffic_.corrected());
        result.uncorrected.add(traffic_.uncorrected());
        traffic_.corrected().clear();
        traffic_.uncorrected().clear();
    }
    result.measured = last.time - first.time;
    result.messages = last.messages - first.messages;
    result.health.cpu = last.cpu - first.cpu;
    result.health.stolen = last.stolen - first.stolen;
    result.server_cpu = last.server_cpu - first.server_cpu;
    result.server_known = options_.server != 0;
    result.health.lateness.add(injector_.lateness());
}

// What is under way may still come back; nothing new is sent.
task<void> Worker::drain(LoadResult& result) {
    Histogram waits;
    result.never_sent = injector_.close(injector_.now(), waits);
    result.corrected.add(waits);
    result.all_lost = driver_->open_connections() == 0;
    traffic_.drain();
    if (driver_->open_connections() > 0) co_await traffic_.enough().wait_for(options_.grace);
}

task<void> Worker::watch_hiccups() {
    std::exception_ptr ended;
    try {
        while (true) {
            const Instant due = hiccup_timer_.now() + hiccup_interval;
            co_await hiccup_timer_.wait_until(due);
            hiccups_.record(hiccup_timer_.now() - due);
        }
    } catch (...) {
        ended = std::current_exception();
    }
    co_await hiccup_timer_.close();
    std::rethrow_exception(ended);
}

}  // namespace confab::load
