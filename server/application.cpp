#include "server/application.hpp"

#include <utility>

namespace confab {

namespace {

class HandlerWorker final : public Worker {
  public:
    explicit HandlerWorker(const Handler& handler) : handler_(handler) {}
    task<void> serve(Stream& stream) override { return handler_(stream); }

  private:
    const Handler& handler_;
};

class HandlerApplication final : public Application {
  public:
    explicit HandlerApplication(Handler handler) : handler_(std::move(handler)) {}
    std::unique_ptr<Worker> make_worker(Reactor& /*reactor*/) override {
        return std::make_unique<HandlerWorker>(handler_);
    }

  private:
    const Handler handler_;
};

}  // namespace

std::unique_ptr<Application> make_application(Handler handler) {
    return std::make_unique<HandlerApplication>(std::move(handler));
}

}  // namespace confab
