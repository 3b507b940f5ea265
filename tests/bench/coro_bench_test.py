#!/usr/bin/env python3
"""The microbenchmarks of tasks in small: coro_bench_test.py SOURCE_ROOT BUILD_ROOT. Nothing here is about time."""

import json
import subprocess
import sys
import unittest

from programs import BUILD_ROOT, LIMIT_S, SOURCE_ROOT

PROGRAM = BUILD_ROOT / "bench" / "coro_bench"


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)


class CoroBench(unittest.TestCase):
    def test_every_operation_is_done_and_a_warm_one_allocates_nothing(self):
        batches, count = 3, 2000
        done = run(PROGRAM, "--batches", str(batches), "--count", str(count))
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        measures = report["measures"]
        self.assertEqual(report["checksum"], len(measures) * (batches + 1) * count * (count - 1) // 2)
        for name, figures in measures.items():
            self.assertEqual(len(figures["nanoseconds"]), batches, name)
            self.assertEqual(figures["allocations"], 0, name)

    def test_no_typical_frame_is_larger_than_half_a_kilobyte(self):
        frames = json.loads(run(PROGRAM, "--batches", "1", "--count", "2").stdout)["frames"]
        self.assertIn("echo handler", frames)
        for name, size in frames.items():
            self.assertTrue(0 < size <= 512, f"{name}: {size}")

    def test_a_bad_value_is_named(self):
        done = run(PROGRAM, "--count", "0")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--count 0", done.stderr)


class Runner(unittest.TestCase):
    def test_a_run_in_small_prints_every_table(self):
        report = BUILD_ROOT / "tests" / "coro_bench.json"
        done = run(sys.executable, SOURCE_ROOT / "bench" / "run_coro.py", "--build", BUILD_ROOT, "--batches", "1",
                   "--count", "100", "--json", report, "--ordinary-priority")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"build +.*-O[0-3s]")
        self.assertRegex(done.stdout, r"\| spawn and join +\|")
        self.assertRegex(done.stdout, r"\| echo handler +\|")
        self.assertIn("WARN", done.stdout)
        self.assertEqual(json.loads(report.read_text(encoding="utf-8"))["count"], 100)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
