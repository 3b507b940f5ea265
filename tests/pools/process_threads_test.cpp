// What becomes of threads at the end of a process.
#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "pools/processes/process.hpp"
#include "pools/threads/thread.hpp"
#include "tests/pools/process_support.hpp"

using namespace confab;
using processes::process;
using processes::shared;
using threads::thread;

namespace {

int exitcode_of(process child) {
    child.start();
    child.join();
    return child.exitcode().value();
}

}  // namespace

TEST_CASE("parity 21: a process waits for its threads, and asks daemons to stop before it ends") {
    struct Seen {
        std::atomic<bool> joined, asked;
    };
    shared<Seen> seen;
    CHECK(exitcode_of(process([&] {
              Signal* const runs = new Signal;
              thread daemon({.daemon = true}, [&seen, runs](const std::stop_token& stop) {
                  Signal asked;
                  const std::stop_callback callback(stop, [&asked] { asked.set(); });
                  runs->set();
                  asked.wait();
                  seen->asked = true;
              });
              daemon.start();
              runs->wait();
              thread worker([&] { seen->joined = true; });
              worker.start();
              static thread kept = std::move(daemon);
              return 3;
          })) == 3);
    CHECK(seen->joined);
    CHECK(seen->asked);
}

TEST_CASE("parity 21: a daemon that does not stop does not hold its process") {
    CHECK(exitcode_of(process([] {
              thread daemon({.daemon = true}, [] {
                  while (true) ::pause();
              });
              daemon.start();
              return 4;
          })) == 4);
}

TEST_CASE("an exception that a thread does not catch is told on stderr, and the others go on") {
    Paper paper;
    CHECK(exitcode_of(process([&] {
              paper.replace(STDERR_FILENO);
              thread thrower({.name = "thrower"}, [] { throw std::runtime_error("lost"); });
              thrower.start();
              thrower.join();
              return 5;
          })) == 5);
    CHECK(paper.text() == "thread thrower: nobody caught std::runtime_error: lost\n");
}
