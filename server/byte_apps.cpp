#include "server/byte_apps.hpp"

#include <span>
#include <string>
#include <system_error>
#include <utility>

namespace confab {

void leave_as_is(LentBytes /*bytes*/) {}

void to_upper(LentBytes bytes) {
    for (std::byte& byte : bytes) {
        const auto letter = static_cast<unsigned char>(byte);
        if (letter >= 'a' && letter <= 'z') byte = static_cast<std::byte>(letter - ('a' - 'A'));
    }
}

task<void> answer(Stream& stream, Transform transform) {
    while (true) {
        const Received bytes = co_await stream.receive();
        if (!bytes || bytes->empty()) co_return;
        transform(*bytes);
        const Sent sent = co_await stream.send(*bytes);
        if (!sent) co_return;
    }
}

namespace {

class ByteWorker final : public Worker {
  public:
    explicit ByteWorker(const Transform& transform) : transform_(transform) {}
    task<void> serve(Stream& stream) override { return answer_or_depart(stream); }
    task<void> resume(Stream& stream, Traveller traveller) override {
        return unpack(stream, std::make_unique<Traveller>(std::move(traveller)));
    }

  private:
    // What a traveller's state holds is owed as it is; what it had received is not looked at yet.
    task<void> unpack(Stream& stream, std::unique_ptr<Traveller> traveller) {
        stream.outbox().flush(stream.limits().send);
        std::string owed = std::move(traveller->state);
        transform_(std::as_writable_bytes(std::span(traveller->received)));
        owed += traveller->received;
        if (TaskContext::current()->stop_reason() == StopReason::moved) co_return give_away(stream, owed);
        const Sent sent = co_await stream.send(owed);
        if (!sent && !moves(sent.error())) co_return;
        if (!traveller->at_end) go_on_with(answer_or_depart(stream));
    }

    task<void> answer_or_depart(Stream& stream) {
        while (true) {
            const Received bytes = co_await stream.receive();
            if (!bytes) co_return moves(bytes.error()) ? give_away(stream, {}) : void();
            if (bytes->empty()) co_return;
            transform_(*bytes);
            // Once asked to go, it could not tell whether a send has queued anything.
            if (TaskContext::current()->stop_reason() == StopReason::moved)
                co_return give_away(stream, std::string(as_text(*bytes)));
            const Sent sent = co_await stream.send(*bytes);
            if (!sent) co_return moves(sent.error()) ? give_away(stream, {}) : void();
        }
    }

    static bool moves(const std::error_code& error) {
        return error == std::errc::operation_canceled &&
               TaskContext::current()->stop_reason() == StopReason::moved;
    }

    const Transform& transform_;
};

class ByteApplication final : public Application {
  public:
    explicit ByteApplication(Transform transform) : transform_(std::move(transform)) {}
    std::unique_ptr<Worker> make_worker(Reactor& /*reactor*/) override {
        return std::make_unique<ByteWorker>(transform_);
    }
    bool travels() const override { return true; }

  private:
    const Transform transform_;
};

}  // namespace

std::unique_ptr<Application> make_byte_app(Transform transform) {
    return std::make_unique<ByteApplication>(std::move(transform));
}

}  // namespace confab
