#!/usr/bin/env python3
"""The toolbox of threads and processes: what its parts cost, beside what the standard library has.

Each part is a program that prints one JSON object: {"rounds": N, "count": N, "measures": {measure: {contender:
[nanoseconds an operation, a figure a round]}}}. The first contender of a measure is the one that the others are divided
by, round for round: the median of those ratios holds still where a shared machine's speed does not.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

import harness
from harness import say

PROGRAMS = {"locks": "locks_bench"}
QUICK = ["--rounds", "5", "--count", "20000"]
LIMIT_S = 600.0


def measure(program, arguments):
    """What a part prints. It may use every core."""
    done = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=LIMIT_S, check=False)
    if done.returncode != 0:
        harness.fail(f"{pathlib.Path(program).name}: exit {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def print_report(part, report):
    say(f"## {part.capitalize()}: nanoseconds an operation, by the wall's clock")
    say(f"Least and median of {report['rounds']} rounds of {report['count']} operations, fewer where threads sleep, after one")
    say("that warms up. The ratio to the first of each measure is the median over the rounds.\n")
    rows = []
    for name, contenders in report["measures"].items():
        first = next(iter(contenders.values()))
        for contender, figures in contenders.items():
            ratio = statistics.median(mine / theirs for mine, theirs in zip(figures, first))
            median = statistics.median(figures)
            rows.append([f"{name}: {contender}", f"{min(figures):.1f}", f"{median:.1f}", f"{ratio:.2f}"])
    harness.print_table(["", "least", "median", "ratio"], rows)


def main(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench pools", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(PROGRAMS)}")
    parser.add_argument("--build", default="build", help="the build directory (default: build)")
    parser.add_argument("--quick", action="store_true", help="a few seconds: fewer and shorter rounds")
    parser.add_argument("--rounds", help="samples of each measure")
    parser.add_argument("--count", help="operations a sample")
    parser.add_argument("--ordinary-priority", action="store_true", help="leave the machine's other work alone")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PROGRAMS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PROGRAMS)}")

    passed_on = QUICK if options.quick else []
    for name in ("rounds", "count"):
        if value := getattr(options, name):
            passed_on = [*passed_on, f"--{name}", value]
    is_raised = not options.ordinary_priority and harness.raise_priority()
    harness.print_machine("# Threads and processes", options.build)
    say(f"placing   two threads, where the kernel puts them, {harness.priority_text(is_raised)}")
    say("non-goal  more than two threads, fairness: who waits longest may wait long")
    harness.print_warnings(options.build, is_raised)
    reports = {}
    for part in options.parts or PROGRAMS:
        reports[part] = measure(pathlib.Path(options.build) / "bench" / PROGRAMS[part], passed_on)
        print_report(part, reports[part])
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(reports, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
