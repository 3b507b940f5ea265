#!/usr/bin/env python3
"""The count of passed and failed cases, on runs as Meson logs them."""

import unittest

import tally


def run(result, stdout="", stderr=""):
    return {"name": "a test", "result": result, "stdout": stdout, "stderr": stderr}


def doctest(passed, failed):
    return f"[doctest] test cases: {passed + failed} | {passed} passed | {failed} failed | 0 skipped\n"


class Tally(unittest.TestCase):
    def test_a_doctest_program_counts_its_cases(self):
        self.assertEqual(tally.tally(run("OK", doctest(4, 0))), (4, 0))
        self.assertEqual(tally.tally(run("FAIL", doctest(4, 2))), (4, 2))

    def test_padding_and_colours_do_not_matter(self):
        line = "[doctest] \x1b[0mtest cases:  14 |  \x1b[32m12 passed\x1b[0m |   2 failed | 0 skipped"
        self.assertEqual(tally.tally(run("FAIL", line)), (12, 2))

    def test_a_unittest_program_counts_its_cases(self):
        passing = run("OK", stderr="Ran 6 tests in 0.1s\n\nOK\n")
        failing = run("FAIL", stderr="Ran 6 tests in 0.1s\n\nFAILED (failures=1, errors=2)\n")
        self.assertEqual(tally.tally(passing), (6, 0))
        self.assertEqual(tally.tally(failing), (3, 3))

    def test_any_other_program_counts_as_one(self):
        self.assertEqual(tally.tally(run("OK", "fine\n")), (1, 0))
        self.assertEqual(tally.tally(run("FAIL", "not fine\n")), (0, 1))

    def test_a_crash_before_the_summary_is_a_failure(self):
        self.assertEqual(tally.tally(run("FAIL", "[doctest] doctest version is 2.4.9\n")), (0, 1))
        self.assertEqual(tally.tally(run("TIMEOUT")), (0, 1))

    def test_a_leak_found_after_the_summary_is_a_failure(self):
        self.assertEqual(tally.tally(run("FAIL", doctest(4, 0), "LeakSanitizer: detected memory leaks")), (4, 1))


if __name__ == "__main__":
    unittest.main()
