#include "server/application.hpp"

#include <stdexcept>
#include <utility>

namespace confab {

task<void> Worker::resume(Stream& /*stream*/, Traveller /*traveller*/) {
    throw std::logic_error("connections of this application do not travel");
}

void Worker::give_away(const Stream& stream, std::string state) {
    given_away_.insert_or_assign(&stream, std::move(state));
}

std::optional<std::string> Worker::take_given_away(const Stream& stream) {
    if (given_away_.empty()) return std::nullopt;
    const auto found = given_away_.find(&stream);
    if (found == given_away_.end()) return std::nullopt;
    std::optional<std::string> state = std::move(found->second);
    given_away_.erase(found);
    return state;
}

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
