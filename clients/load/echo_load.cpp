// Its own cost a message must stay below the leanest server's, or it would measure itself. So nothing is made
// up, copied or allocated for a message: it is a piece of the pattern, sent from where it lies; all that one
// turn of the loop has found to send on a connection goes out in one piece; and checking an answer is a
// comparison of memory.
#include "clients/load/echo_load.hpp"

#include <algorithm>
#include <cassert>
#include <deque>
#include <optional>
#include <vector>

#include "clients/load/echo_check.hpp"
#include "coro/semaphore.hpp"
#include "coro/stream.hpp"

namespace confab::load {

namespace {

// Neighbours begin at places far from each other.
constexpr std::size_t place_step = 4099;

class EchoLoad;

/// A connection that carries message after message.
class EchoConnection final : Taker {
  public:
    EchoConnection(EchoLoad& load, std::size_t index);

    task<void> run();

    Faults faults() const;
    bool is_open() const { return stream_ && stream_->is_open(); }
    bool is_served() const { return served_; }
    std::uint32_t answers() const { return oldest_; }

  private:
    struct Flush : Job {
        explicit Flush(EchoConnection& owner)
            : Job([](Job& job) noexcept { static_cast<Flush&>(job).connection.flush(); }),
              connection(owner) {}
        EchoConnection& connection;
    };
    struct Send : Operation {
        explicit Send(EchoConnection& owner)
            : Operation(
                  Kind::send, -1,
                  [](Operation& operation) noexcept { static_cast<Send&>(operation).connection.sent(); }),
              connection(owner) {}
        EchoConnection& connection;
    };

    bool take(Instant due) override;
    task<void> serve();
    void received(Bytes bytes);
    void flush();
    void sent();
    std::string ended(const Received& last) const;
    void give_up();

    std::size_t under_way() const { return newest_ - oldest_; }
    Stamp& stamp(std::uint32_t number) const;

    EchoLoad& load_;
    const std::uint32_t index_;
    std::uint32_t oldest_ = 0, unsent_ = 0,
                  newest_ = 0;  // numbers of messages: answered next, sent next, taken next
    bool flush_queued_ = false, sending_ = false, wants_ = false, served_ = false, lost_ = false;
    std::size_t send_place_;
    EchoCheck check_;
    std::optional<Stream> stream_;
    Flush flush_{*this};
    Send send_{*this};
    iovec part_{};
};

/// One after the other, connections that carry one message.
class ChurnConnection final : Taker {
  public:
    ChurnConnection(EchoLoad& load, std::size_t index) : load_(load), index_(index) {}

    task<void> run();

    const Faults& faults() const { return faults_; }
    bool is_served() const { return served_; }

  private:
    bool take(Instant due) override;
    task<void> carry_one();
    task<bool> exchange(Stream& stream, Stamp& stamp, std::size_t place);

    EchoLoad& load_;
    const std::size_t index_;
    std::size_t round_ = 0;
    event taken_;
    Instant due_{};
    Faults faults_;
    bool served_ = false;
};

class EchoLoad final : public Driver {
  public:
    EchoLoad(const EchoSettings& echo_settings, const Pattern& bytes, Wiring wires)
        : Driver(wires.traffic),
          settings(echo_settings),
          pattern(bytes),
          wiring(wires),
          connecting(static_cast<std::ptrdiff_t>(echo_settings.connecting)),
          stamps(echo_settings.churn ? 0 : echo_settings.connections * echo_settings.pipeline) {}

    void spawn_all(scope& connections) override {
        expect(settings.connections);
        for (std::size_t i = 0; i < settings.connections; ++i) {
            if (settings.churn) {
                connections.spawn(churning_.emplace_back(*this, i).run(), "churn");
            } else {
                connections.spawn(lasting_.emplace_back(*this, i).run(), "echo");
            }
        }
    }

    Faults faults() const override {
        Faults all = refusals_;
        for (const EchoConnection& connection : lasting_) all += connection.faults();
        for (const ChurnConnection& connection : churning_) all += connection.faults();
        return all;
    }

    Attendance attendance() const override {
        Attendance all;
        all.served = static_cast<std::size_t>(std::ranges::count_if(lasting_, &EchoConnection::is_served) +
                                              std::ranges::count_if(churning_, &ChurnConnection::is_served));
        all.starved = settings.connections - all.served;
        for (const EchoConnection& connection : lasting_) all.answers.push_back(connection.answers());
        return all;
    }

    using Driver::connected;
    using Driver::gone;
    void refused(const std::error_code& why) {
        if (why != std::errc::operation_canceled) ++refusals_.refused;
        Driver::refused(why);
    }

    /// Where in the pattern the messages of a connection begin.
    std::size_t first_place(std::size_t index, std::size_t round = 0) const {
        return ((settings.first + index) * place_step + round * settings.size) % Pattern::period;
    }

    const EchoSettings settings;
    const Pattern& pattern;
    const Wiring wiring;
    semaphore connecting;
    std::vector<Stamp> stamps;  // `pipeline` for each connection

  private:
    std::deque<EchoConnection> lasting_;
    std::deque<ChurnConnection> churning_;
    Faults refusals_;
};

// --- A lasting connection ---

EchoConnection::EchoConnection(EchoLoad& load, std::size_t index)
    : load_(load),
      index_(static_cast<std::uint32_t>(index)),
      send_place_(load.first_place(index)),
      check_(load.pattern, load.settings.size, load.first_place(index)) {}

Stamp& EchoConnection::stamp(std::uint32_t number) const {
    const std::size_t pipeline = load_.settings.pipeline;
    return load_.stamps[index_ * pipeline + number % pipeline];
}

Faults EchoConnection::faults() const {
    Faults all = check_.faults();
    all.lost += check_.missing();
    // Who was never answered at all may have been kept waiting by the server's other clients.
    if (!is_open() && (served_ || lost_)) all.lost += under_way();
    all.disconnected += lost_ ? 1 : 0;
    return all;
}

task<void> EchoConnection::run() {
    co_await load_.connecting.acquire();
    const std::expected<int, std::error_code> fd = co_await load_.wiring.dialer.dial();
    load_.connecting.release();
    if (!fd) {
        load_.refused(fd.error());
        co_return;
    }
    stream_.emplace(load_.wiring.reactor, *fd);
    send_.fd = *fd;
    load_.connected();
    co_await serve();
}

task<void> EchoConnection::serve() {
    wants_ = true;
    load_.wiring.injector.want(*this);
    std::string end;
    while (true) {
        const Received bytes = co_await stream_->receive();
        if (!bytes || bytes->empty()) {
            end = ended(bytes);
            break;
        }
        received(*bytes);
    }
    load_.wiring.injector.take_off(*this);
    wants_ = false;
    lost_ = !end.empty();
    co_await stream_->close();  // cancels what is being sent, and waits for it
    give_up();
    load_.gone(end);
}

std::string EchoConnection::ended(const Received& last) const {
    if (last) return "closed by the server";
    if (last.error() == std::errc::operation_canceled) return {};
    return last.error().message();
}

bool EchoConnection::take(Instant due) {
    stamp(newest_++) = {.due = due, .sent = due};
    load_.wiring.traffic.sent();
    if (!flush_queued_ && !sending_) {
        flush_queued_ = true;
        load_.wiring.reactor.at_end_of_turn(flush_);
    }
    wants_ = under_way() < load_.settings.pipeline;
    return wants_;
}

void EchoConnection::flush() {
    flush_queued_ = false;
    if (!stream_->is_open() || unsent_ == newest_) return;
    const Injector& injector = load_.wiring.injector;
    const Instant now = injector.now();
    const std::size_t size = (newest_ - unsent_) * load_.settings.size;
    for (; unsent_ != newest_; ++unsent_) {
        Stamp& sent_now = stamp(unsent_);
        sent_now.sent = now;
        if (!injector.is_open_loop()) sent_now.due = now;
    }
    const Bytes bytes = load_.pattern.sent(send_place_, size);
    part_ = {.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
    send_.parts = {.data = &part_, .count = 1, .done = 0};
    send_place_ = (send_place_ + size) % Pattern::period;
    sending_ = true;
    if (load_.wiring.reactor.submit(send_)) sent();
}

// An error is the receiving side's to see: it ends the connection.
void EchoConnection::sent() {
    sending_ = false;
    if (send_.result >= 0) flush();
}

void EchoConnection::received(Bytes bytes) {
    const std::size_t answered = check_.take(bytes, under_way());
    load_.wiring.traffic.verified(bytes.size());
    if (answered == 0) return;
    served_ = true;
    const Instant now = load_.wiring.injector.now();
    for (std::size_t i = 0; i < answered; ++i) load_.wiring.traffic.answered(stamp(oldest_++), now);
    if (wants_) return;
    wants_ = true;
    load_.wiring.injector.want(*this);
}

// What has no answer has had none until now.
void EchoConnection::give_up() {
    const Instant now = load_.wiring.injector.now();
    for (std::uint32_t number = oldest_; number != newest_; ++number) {
        load_.wiring.traffic.given_up(stamp(number), now);
    }
}

// --- A connection a message ---

bool ChurnConnection::take(Instant due) {
    due_ = due;
    taken_.set();
    return false;
}

task<void> ChurnConnection::run() {
    load_.connected();  // it is ready to; each connection is part of its message
    try {
        while (true) {
            load_.wiring.injector.want(*this);
            co_await taken_.wait();
            taken_.clear();
            co_await carry_one();
        }
    } catch (const task_canceled&) {
        load_.wiring.injector.take_off(*this);
    }
    load_.gone({});
}

task<void> ChurnConnection::carry_one() {
    Traffic& traffic = load_.wiring.traffic;
    const Injector& injector = load_.wiring.injector;
    Stamp stamp{.due = due_, .sent = injector.now()};
    if (!injector.is_open_loop()) stamp.due = stamp.sent;
    traffic.sent();
    bool answered = false;
    const std::expected<int, std::error_code> fd = co_await load_.wiring.dialer.dial();
    if (fd) {
        Stream stream(load_.wiring.reactor, *fd);
        answered = co_await exchange(stream, stamp, load_.first_place(index_, round_++));
        co_await stream.close();
    } else if (fd.error() != std::errc::operation_canceled) {
        ++faults_.refused;
    }
    if (!answered) traffic.given_up(stamp, injector.now());
}

// True: the message has come back, counted as answered.
task<bool> ChurnConnection::exchange(Stream& stream, Stamp& stamp, std::size_t place) {
    const std::size_t size = load_.settings.size;
    EchoCheck check(load_.pattern, size, place);
    const Sent sent = co_await stream.send(load_.pattern.sent(place, size));
    std::size_t answered = 0;
    bool canceled = !sent && sent.error() == std::errc::operation_canceled;
    while (sent && answered == 0) {
        const Received bytes = co_await stream.receive();
        if (!bytes || bytes->empty()) {
            canceled = !bytes && bytes.error() == std::errc::operation_canceled;
            break;
        }
        answered = check.take(*bytes, 1);
        load_.wiring.traffic.verified(bytes->size());
    }
    faults_ += check.faults();
    faults_.lost += check.missing();
    if (answered == 0) {
        ++(canceled ? faults_.lost : faults_.disconnected);
        co_return false;
    }
    served_ = true;
    load_.wiring.traffic.answered(stamp, load_.wiring.injector.now());
    co_return true;
}

}  // namespace

std::unique_ptr<Driver> make_echo_load(const EchoSettings& settings, const Pattern& pattern, Wiring wiring) {
    assert(pattern.longest() >= settings.size * settings.pipeline && settings.size % Pattern::period != 0);
    return std::make_unique<EchoLoad>(settings, pattern, wiring);
}

}  // namespace confab::load
