#!/usr/bin/env python3
"""The microbenchmarks of the toolbox in small: pools_bench_test.py SOURCE_ROOT BUILD_ROOT. Nothing here is about time."""

import json
import subprocess
import sys
import unittest

from programs import BUILD_ROOT, LIMIT_S, SOURCE_ROOT

PROGRAMS = {part: BUILD_ROOT / "bench" / f"{part}_bench" for part in ("locks", "channels", "executors")}
OURS = ("threads::", "processes::", "thread_pool", "process_pool")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)


class Programs(unittest.TestCase):
    def test_every_measure_has_a_baseline_first_and_a_figure_a_round(self):
        for part, program in PROGRAMS.items():
            done = run(program, "--rounds", "2", "--count", "200")
            self.assertEqual(done.returncode, 0, done.stderr)
            report = json.loads(done.stdout)
            self.assertEqual(report["rounds"], 2)
            for name, contenders in report["measures"].items():
                with self.subTest(part=part, measure=name):
                    first, *others = contenders
                    self.assertEqual(first.startswith(OURS), not others)
                    self.assertTrue(any(each.startswith(OURS) for each in contenders))
                    for figures in contenders.values():
                        self.assertEqual(len(figures), 2)

    def test_a_bad_value_is_named(self):
        for program in PROGRAMS.values():
            done = run(program, "--rounds", "0")
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

    def test_python_takes_part_and_targets_are_judged(self):
        done = run(sys.executable, SOURCE_ROOT / "bench" / "run_pools.py", "channels", "executors", "--build", BUILD_ROOT,
                   "--rounds", "1", "--count", "200", "--ordinary-priority")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"\| between processes: Python's multiprocessing.Queue +\|")
        self.assertRegex(done.stdout, r"\| submit to result, in a process: Python's multiprocessing.Pool +\|")
        self.assertRegex(done.stdout, r"\| between processes: processes::channel +\| +ns \|.*<= 500")
        self.assertRegex(done.stdout, r"\| submit to result: thread_pool +\| +std::async \|.*<= 0.2")

    def test_an_unknown_part_is_named(self):
        done = run(sys.executable, SOURCE_ROOT / "bench" / "run_pools.py", "lokcs", "--build", BUILD_ROOT)
        self.assertEqual(done.returncode, 2)
        self.assertIn("lokcs", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
