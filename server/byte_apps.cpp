#include "server/byte_apps.hpp"

namespace confab {

namespace {

class ByteWorker final : public Worker {
  public:
    explicit ByteWorker(Transform transform) : transform_(transform) {}
    task<void> serve(Stream& stream) override { return answer(stream, transform_); }

  private:
    Transform transform_;
};

class ByteApp final : public Application {
  public:
    explicit ByteApp(Transform transform) : transform_(transform) {}
    std::unique_ptr<Worker> make_worker(Reactor& /*reactor*/) override {
        return std::make_unique<ByteWorker>(transform_);
    }

  private:
    Transform transform_;
};

}  // namespace

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

std::unique_ptr<Application> make_byte_app(Transform transform) {
    return std::make_unique<ByteApp>(transform);
}

}  // namespace confab
