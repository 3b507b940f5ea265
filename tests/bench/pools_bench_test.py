#!/usr/bin/env python3
"""The microbenchmarks of the toolbox in small: pools_bench_test.py SOURCE_ROOT BUILD_ROOT. Nothing here is about time."""

import json
import subprocess
import sys
import unittest

from programs import BUILD_ROOT, LIMIT_S, SOURCE_ROOT

PROGRAM = BUILD_ROOT / "bench" / "locks_bench"


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)


class LocksBench(unittest.TestCase):
    def test_every_measure_has_the_standard_first_and_a_figure_a_round(self):
        done = run(PROGRAM, "--rounds", "2", "--count", "200")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["rounds"], 2)
        for name, contenders in report["measures"].items():
            self.assertTrue(next(iter(contenders)).startswith("std::"), name)
            self.assertGreater(len(contenders), 1, name)
            for contender, figures in contenders.items():
                self.assertEqual(len(figures), 2, contender)

    def test_a_bad_value_is_named(self):
        done = run(PROGRAM, "--rounds", "0")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--rounds 0", done.stderr)


class Runner(unittest.TestCase):
    def test_a_run_in_small_prints_the_table(self):
        report = BUILD_ROOT / "tests" / "pools_bench.json"
        done = run(sys.executable, SOURCE_ROOT / "bench" / "run_pools.py", "locks", "--build", BUILD_ROOT, "--rounds", "1",
                   "--count", "100", "--json", report, "--ordinary-priority")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"build +.*-O[0-3s]")
        self.assertRegex(done.stdout, r"\| lock and unlock: threads::mutex +\|")
        self.assertIn("WARN", done.stdout)
        self.assertEqual(json.loads(report.read_text(encoding="utf-8"))["locks"]["count"], 100)

    def test_an_unknown_part_is_named(self):
        done = run(sys.executable, SOURCE_ROOT / "bench" / "run_pools.py", "lokcs", "--build", BUILD_ROOT)
        self.assertEqual(done.returncode, 2)
        self.assertIn("lokcs", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
