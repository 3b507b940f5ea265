#include "tests/system/differential.hpp"

#include <doctest/doctest.h>

#include "tests/system/server_process.hpp"

namespace confab::system_tests {
namespace {

Transcript play(const Scene& scene, const Script& script) {
    Transcript transcript;
    ServerProcess server({.app = scene.app, .flags = scene.flags});
    script(server.address(), transcript);
    server.stop();
    return transcript;
}

// The servers that are started while it lives run another strategy.
class Under {
  public:
    explicit Under(Strategy other) { set_under_test(program_under_test(), std::move(other)); }
    Under(const Under&) = delete;
    Under& operator=(const Under&) = delete;
    ~Under() { set_under_test(program_under_test(), before_); }

  private:
    const Strategy before_ = strategy_under_test();
};

}  // namespace

void compare(const Scene& scene, const Script& script) {
    const std::string reference = strategy_under_test().name;
    const Transcript expected = play(scene, script);
    REQUIRE(!expected.lines().empty());
    for (const std::string_view name : strategy_names()) {
        const Under other(parse_strategy(name));
        if (!offers(strategy_under_test(), scene.need)) {
            MESSAGE("SKIPPED under strategy ", strategy_under_test().name, " (needs: ", scene.need, ")");
        } else if (name != reference) {
            const std::string seen = difference(expected, play(scene, script));
            CHECK_MESSAGE(seen.empty(), "differs from ", reference, " (-) under strategy ",
                          strategy_under_test().name, " (+):\n", seen);
        }
    }
}

}  // namespace confab::system_tests
