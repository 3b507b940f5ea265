#include <doctest/doctest.h>
#include <sys/socket.h>

#include <atomic>
#include <latch>
#include <thread>

#include "reactor/endpoint.hpp"
#include "server/application.hpp"
#include "server/server.hpp"

using namespace confab;

namespace {

/// Its only connection ends in the very turn in which it is asked to, and its worker, when it goes, lets the
/// reactor run what is left, as the chat's does.
class LastTurn final : public Application {
  public:
    std::unique_ptr<Worker> make_worker(Reactor& reactor) override {
        return std::make_unique<Part>(*this, reactor);
    }

    std::latch at_end{1};
    std::atomic<int> drained{0};

  private:
    class Part final : public Worker {
      public:
        Part(LastTurn& whole, Reactor& reactor) : whole_(whole), reactor_(reactor) {}
        ~Part() override {
            while (reactor_.turn()) {
            }
        }
        task<void> serve(Stream& stream) override {
            const Received bytes = co_await stream.receive();
            CHECK((bytes && bytes->empty()));  // at its end, so nothing is left to wait for
            whole_.at_end.count_down();
            while (reactor_.next_due() != Instant::min()) std::this_thread::yield();  // until drain is posted
            co_return;
        }
        void drain() override { ++whole_.drained; }

      private:
        LastTurn& whole_;
        Reactor& reactor_;
    };
};

}  // namespace

TEST_CASE("a connection's thread that is asked to drain in its last turn ends well") {
    LastTurn application;
    const auto strategy = make_strategy({.name = "thread"}, 2);
    REQUIRE(strategy);
    Server server({.listen = {"127.0.0.1:0"}, .strategy = *strategy}, application);
    server.start();
    const Endpoint& address = server.addresses().front();
    const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(client.get(), address.address(), address.size()) == 0);
    REQUIRE(::shutdown(client.get(), SHUT_WR) == 0);
    application.at_end.wait();
    server.drain();
    server.join();
    CHECK(application.drained <= 1);
}
