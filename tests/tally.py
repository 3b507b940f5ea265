#!/usr/bin/env python3
"""Counts test cases over all test programs: tally.py meson-logs/testlog.json

Prints one line for each program that failed or was skipped, and last of all `N passed, N failed`. A program that says
how many cases it ran (doctest's summary, unittest's) counts as that many, any other as one. A program that ends badly
without naming a failed case, say by a crash or a leak, counts as one more failure. Exit status: 1 when anything failed.
"""

import json
import re
import sys

DOCTEST = re.compile(r"test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed")
UNITTEST = re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE)
UNITTEST_FAILED = re.compile(r"^FAILED \((.*)\)$", re.MULTILINE)
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def cases(output):
    """The (passed, failed) cases that a program's output speaks of, or None when it speaks of none."""
    summaries = DOCTEST.findall(output)
    if summaries:
        return sum(int(passed) for passed, _ in summaries), sum(int(failed) for _, failed in summaries)
    ran = UNITTEST.search(output)
    if ran:
        counts = UNITTEST_FAILED.search(output)
        failed = sum(int(n) for n in re.findall(r"(?:failures|errors)=(\d+)", counts[1])) if counts else 0
        return int(ran[1]) - failed, failed
    return None


def tally(run):
    """The (passed, failed) cases of one run of one program, as Meson logged it."""
    good = run["result"] in ("OK", "EXPECTEDFAIL")
    output = ESCAPES.sub("", run.get("stdout", "") + "\n" + run.get("stderr", ""))
    passed, failed = cases(output) or (int(good), 0)
    if not good and failed == 0:
        failed = 1
    return passed, failed


def main(log):
    passed = failed = 0
    with open(log, encoding="utf-8") as runs:
        for run in map(json.loads, runs):
            if run["result"] == "SKIP":
                print(f"skipped: {run['name']}")
                continue
            run_passed, run_failed = tally(run)
            passed += run_passed
            failed += run_failed
            if run_failed:
                print(f"failed: {run['name']} ({run['result']}, {run_failed} failed)")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
