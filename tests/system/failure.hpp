// Internal to tests: failing a test from its support code, at the line of the test that asked.
#pragma once

#include <source_location>
#include <string>

namespace confab::system_tests {

// Fails the running test case and leaves it. The main thread only.
[[noreturn]] void fail(const std::string& what, std::source_location where);

// True exactly when an assertion of the running test case has failed so far.
bool test_case_has_failed();

}  // namespace confab::system_tests
