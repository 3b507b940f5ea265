// Its own cost a message must stay below the leanest server's, or it would measure itself. So nothing is made
// up, copied or allocated for a message: it is sent from where it lies; all that one turn of the loop has
// found to send on a connection goes out in one piece; and checking an echo is a comparison of memory.
#include "clients/load/request_load.hpp"

#include <algorithm>
#include <deque>
#include <optional>
#include <vector>

#include "coro/semaphore.hpp"
#include "coro/stream.hpp"

namespace confab::load {

namespace {

class RequestLoad;

/// A connection that carries message after message.
class LastingConnection final : Taker {
  public:
    LastingConnection(RequestLoad& load, std::size_t index);

    task<void> run();

    Faults faults() const;
    bool is_open() const { return stream_ && stream_->is_open(); }
    bool is_served() const { return served_; }
    std::uint32_t answers() const { return oldest_; }

  private:
    struct Flush : Job {
        explicit Flush(LastingConnection& owner)
            : Job([](Job& job) noexcept { static_cast<Flush&>(job).connection.flush(); }),
              connection(owner) {}
        LastingConnection& connection;
    };
    struct Send : Operation {
        explicit Send(LastingConnection& owner)
            : Operation(
                  Kind::send, -1,
                  [](Operation& operation) noexcept { static_cast<Send&>(operation).connection.sent(); }),
              connection(owner) {}
        LastingConnection& connection;
    };

    bool take(Instant due) override;
    task<void> serve();
    void received(Bytes bytes);
    void answered(std::size_t count);
    void flush();
    void sent();
    std::string ended(const Received& last) const;
    void give_up();

    std::size_t under_way() const { return newest_ - oldest_; }
    Stamp& stamp(std::uint32_t number) const;

    RequestLoad& load_;
    const std::uint32_t index_;
    std::uint32_t oldest_ = 0, unsent_ = 0,
                  newest_ = 0;  // numbers of messages: answered next, sent next, taken next
    bool flush_queued_ = false, sending_ = false, wants_ = false, served_ = false, lost_ = false;
    const std::unique_ptr<Dialogue> dialogue_;
    std::optional<Stream> stream_;
    Flush flush_{*this};
    Send send_{*this};
    iovec part_{};
};

/// One after the other, connections that carry one message.
class ChurnConnection final : Taker {
  public:
    ChurnConnection(RequestLoad& load, std::size_t index);

    task<void> run();

    Faults faults() const;
    bool is_served() const { return served_; }

  private:
    bool take(Instant due) override;
    task<void> carry_one();
    task<bool> exchange(Stream& stream, Stamp& stamp);

    RequestLoad& load_;
    const std::unique_ptr<Dialogue> dialogue_;
    event taken_;
    Instant due_{};
    Faults faults_;
    bool served_ = false;
};

class RequestLoad final : public Driver {
  public:
    RequestLoad(const RequestSettings& request_settings, std::unique_ptr<Dialogues> all_dialogues,
                Wiring wires)
        : Driver(wires.traffic),
          settings(request_settings),
          dialogues(std::move(all_dialogues)),
          wiring(wires),
          connecting(static_cast<std::ptrdiff_t>(request_settings.connecting)),
          stamps(request_settings.churn ? 0 : request_settings.connections * request_settings.pipeline) {}

    void spawn_all(scope& connections) override {
        expect(settings.connections);
        for (std::size_t i = 0; i < settings.connections; ++i) {
            if (settings.churn) {
                connections.spawn(churning_.emplace_back(*this, i).run(), "churn");
            } else {
                connections.spawn(lasting_.emplace_back(*this, i).run(), "requests");
            }
        }
    }

    Faults faults() const override {
        Faults all = refusals_;
        for (const LastingConnection& connection : lasting_) all += connection.faults();
        for (const ChurnConnection& connection : churning_) all += connection.faults();
        return all;
    }

    Attendance attendance() const override {
        Attendance all;
        all.served = static_cast<std::size_t>(std::ranges::count_if(lasting_, &LastingConnection::is_served) +
                                              std::ranges::count_if(churning_, &ChurnConnection::is_served));
        all.starved = settings.connections - all.served;
        for (const LastingConnection& connection : lasting_) all.answers.push_back(connection.answers());
        return all;
    }

    using Driver::connected;
    using Driver::gone;
    void refused(const std::error_code& why) {
        if (why != std::errc::operation_canceled) ++refusals_.refused;
        Driver::refused(why);
    }

    const RequestSettings settings;
    const std::unique_ptr<Dialogues> dialogues;
    const Wiring wiring;
    semaphore connecting;
    std::vector<Stamp> stamps;  // `pipeline` for each connection

  private:
    std::deque<LastingConnection> lasting_;
    std::deque<ChurnConnection> churning_;
    Faults refusals_;
};

// --- A lasting connection ---

LastingConnection::LastingConnection(RequestLoad& load, std::size_t index)
    : load_(load), index_(static_cast<std::uint32_t>(index)), dialogue_(load.dialogues->make(index)) {}

Stamp& LastingConnection::stamp(std::uint32_t number) const {
    const std::size_t pipeline = load_.settings.pipeline;
    return load_.stamps[index_ * pipeline + number % pipeline];
}

Faults LastingConnection::faults() const {
    Faults all = dialogue_->faults();
    // Who was never answered at all may have been kept waiting by the server's other clients.
    if (!is_open() && (served_ || lost_)) all.lost += under_way();
    all.disconnected += lost_ ? 1 : 0;
    return all;
}

task<void> LastingConnection::run() {
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

task<void> LastingConnection::serve() {
    wants_ = true;
    load_.wiring.injector.want(*this);
    std::string end;
    while (true) {
        const Received bytes = co_await stream_->receive();
        if (!bytes || bytes->empty()) {
            end = ended(bytes);
            answered(dialogue_->end(under_way()));
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

std::string LastingConnection::ended(const Received& last) const {
    if (last) return "closed by the server";
    if (last.error() == std::errc::operation_canceled) return {};
    return last.error().message();
}

bool LastingConnection::take(Instant due) {
    stamp(newest_++) = {.due = due, .sent = due};
    load_.wiring.traffic.sent();
    if (!flush_queued_ && !sending_) {
        flush_queued_ = true;
        load_.wiring.reactor.at_end_of_turn(flush_);
    }
    wants_ = under_way() < load_.settings.pipeline;
    return wants_;
}

void LastingConnection::flush() {
    flush_queued_ = false;
    if (!stream_->is_open() || unsent_ == newest_) return;
    const Injector& injector = load_.wiring.injector;
    const Instant now = injector.now();
    const Bytes bytes = dialogue_->say(newest_ - unsent_);
    for (; unsent_ != newest_; ++unsent_) {
        Stamp& sent_now = stamp(unsent_);
        sent_now.sent = now;
        if (!injector.is_open_loop()) sent_now.due = now;
    }
    part_ = {.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
    send_.parts = {.data = &part_, .count = 1, .done = 0};
    sending_ = true;
    if (load_.wiring.reactor.submit(send_)) sent();
}

// An error is the receiving side's to see: it ends the connection.
void LastingConnection::sent() {
    sending_ = false;
    if (send_.result >= 0) flush();
}

void LastingConnection::received(Bytes bytes) {
    load_.wiring.traffic.verified(bytes.size());
    answered(dialogue_->take(bytes, under_way()));
}

void LastingConnection::answered(std::size_t count) {
    if (count == 0) return;
    served_ = true;
    const Instant now = load_.wiring.injector.now();
    for (std::size_t i = 0; i < count; ++i) load_.wiring.traffic.answered(stamp(oldest_++), now);
    if (wants_) return;
    wants_ = true;
    load_.wiring.injector.want(*this);
}

// What has no answer has had none until now.
void LastingConnection::give_up() {
    const Instant now = load_.wiring.injector.now();
    for (std::uint32_t number = oldest_; number != newest_; ++number) {
        load_.wiring.traffic.given_up(stamp(number), now);
    }
}

// --- A connection a message ---

ChurnConnection::ChurnConnection(RequestLoad& load, std::size_t index)
    : load_(load), dialogue_(load.dialogues->make(index)) {}

Faults ChurnConnection::faults() const {
    Faults all = dialogue_->faults();
    all += faults_;
    return all;
}

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
        dialogue_->begin();
        answered = co_await exchange(stream, stamp);
        co_await stream.close();
    } else if (fd.error() != std::errc::operation_canceled) {
        ++faults_.refused;
    }
    if (!answered) traffic.given_up(stamp, injector.now());
}

// True: the message has come back, counted as answered.
task<bool> ChurnConnection::exchange(Stream& stream, Stamp& stamp) {
    const Sent sent = co_await stream.send(dialogue_->say(1));
    std::size_t answered = 0;
    bool canceled = !sent && sent.error() == std::errc::operation_canceled;
    while (sent && answered == 0) {
        const Received bytes = co_await stream.receive();
        if (!bytes || bytes->empty()) {
            canceled = !bytes && bytes.error() == std::errc::operation_canceled;
            answered = dialogue_->end(1);
            break;
        }
        answered = dialogue_->take(*bytes, 1);
        load_.wiring.traffic.verified(bytes->size());
    }
    if (answered == 0) {
        ++(canceled ? faults_.lost : faults_.disconnected);
        co_return false;
    }
    served_ = true;
    load_.wiring.traffic.answered(stamp, load_.wiring.injector.now());
    co_return true;
}

}  // namespace

std::unique_ptr<Driver> make_request_load(const RequestSettings& settings,
                                          std::unique_ptr<Dialogues> dialogues, Wiring wiring) {
    return std::make_unique<RequestLoad>(settings, std::move(dialogues), wiring);
}

}  // namespace confab::load
