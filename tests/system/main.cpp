// The main of the system tests: test_system PROGRAM STRATEGY [doctest's options]
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <exception>
#include <vector>

#include "tests/system/failure.hpp"
#include "tests/system/strategy.hpp"

namespace confab::system_tests {
namespace {

bool has_failed = false;

// Notes failures, and says which bodies a strategy could not be asked.
class Listener : public doctest::IReporter {
  public:
    explicit Listener(const doctest::ContextOptions&) {}

    void report_query(const doctest::QueryData&) override {}
    void test_run_start() override {}
    void test_run_end(const doctest::TestRunStats&) override {
        if (skipped_ > 0) {
            std::printf("SKIPPED %d test cases under strategy %s\n", skipped_,
                        strategy_under_test().name.c_str());
        }
    }
    void test_case_start(const doctest::TestCaseData&) override { has_failed = false; }
    void test_case_reenter(const doctest::TestCaseData&) override {}
    void test_case_end(const doctest::CurrentTestCaseStats&) override {}
    void test_case_exception(const doctest::TestCaseException&) override { has_failed = true; }
    void subcase_start(const doctest::SubcaseSignature&) override {}
    void subcase_end() override {}
    void log_assert(const doctest::AssertData& assertion) override { has_failed |= assertion.m_failed; }
    void log_message(const doctest::MessageData& message) override {
        has_failed |= (message.m_severity & doctest::assertType::is_warn) == 0;
    }
    void test_case_skipped(const doctest::TestCaseData& test) override {
        if (offers(strategy_under_test(), test.m_test_suite)) return;
        std::printf("SKIPPED under strategy %s: %s (needs: %s)\n", strategy_under_test().name.c_str(),
                    test.m_name, test.m_test_suite);
        ++skipped_;
    }

  private:
    int skipped_ = 0;
};

REGISTER_LISTENER("system", 1, Listener);

int run(int argc, char** argv) {
    set_under_test(argv[1], parse_strategy(argv[2]));
    const Strategy& strategy = strategy_under_test();
    std::printf("system tests under strategy %s\n", strategy.name.c_str());
    doctest::Context context(argc - 2, argv + 2);
    for (const char* need :
         {needs::several_clients, needs::clients_that_share_a_process, needs::several_processes,
          needs::number_of_processes, needs::chat, needs::chat_with_several_clients}) {
        if (!offers(strategy, need)) context.addFilter("test-suite-exclude", need);
    }
    return context.run();
}

}  // namespace

bool test_case_has_failed() { return has_failed; }

[[noreturn]] void fail(const std::string& what, std::source_location where) {
    const std::string message = "[strategy " + strategy_under_test().name + "] " + what;
    has_failed = true;
    ADD_FAIL_AT(where.file_name(), static_cast<int>(where.line()), message);
    throw doctest::detail::TestFailureException();
}

}  // namespace confab::system_tests

int main(int argc, char** argv) {
    constexpr int usage_error = 2;
    if (argc < 3) {
        std::fprintf(stderr, "usage: test_system PROGRAM STRATEGY [doctest's options]\n");
        return usage_error;
    }
    try {
        return confab::system_tests::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "test_system: %s\n", error.what());
        return usage_error;
    }
}
