#!/usr/bin/env python3
"""Coroutines: what awaiting, starting, joining and switching tasks costs, and how large their frames are.

Prints nanoseconds of CPU time and allocations an operation, beside the targets, and bytes a frame.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

import harness
from harness import say

# Nanoseconds that a measure's median may cost.
TARGETS = {
    "await a ready task": 15,
    "join a ready child": 15,
    "get from a ready child": 15,
    "spawn and join": 60,
    "spawn and join, 100 at once": 60,
}
LIMIT_S = 600.0


def measure(program, core, arguments):
    """What bench/coro_bench prints."""
    done = subprocess.run(
        [program, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    if done.returncode != 0:
        harness.fail(f"coro_bench: exit {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def print_report(report):
    batches, count = report["batches"], report["count"]
    say("## Nanoseconds of CPU time an operation, allocations an operation")
    say(f"Least and median of {batches} batches of {count} operations, after one that warms up. A switch is one task")
    say("going on; a value through a channel is one put and one get. Every child runs a task that returns at once.\n")
    rows = []
    for name, figures in report["measures"].items():
        median = statistics.median(figures["nanoseconds"])
        target = TARGETS.get(name)
        verdict = "" if target is None else f"<= {target}" if median <= target else f"<= {target} MISSED"
        allocations = figures["allocations"] / (batches * count)
        rows.append([name, f"{min(figures['nanoseconds']):.1f}", f"{median:.1f}", verdict, f"{allocations:.4f}"])
    harness.print_table(["", "least", "median", "target", "allocations"], rows)
    say("## Bytes of a frame")
    say("The free lists give them out in steps of 64.\n")
    harness.print_table(["", "bytes"], [[name, bytes_] for name, bytes_ in report["frames"].items()])
    say(f"checksum {report['checksum']}: the tasks reckoned right")


def main(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench coro", description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", help="the build directory (default: build)")
    parser.add_argument("--quick", action="store_true", help="a few seconds: fewer and shorter batches")
    parser.add_argument("--batches", type=int, help="samples of each measure (default: 100)")
    parser.add_argument("--count", type=int, help="operations a batch (default: 200000)")
    parser.add_argument("--ordinary-priority", action="store_true", help="leave the machine's other work alone")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    options = parser.parse_args(arguments)
    batches = options.batches or (20 if options.quick else 100)
    count = options.count or (50_000 if options.quick else 200_000)

    is_raised = not options.ordinary_priority and harness.raise_priority()
    core = harness.two_cores()[1]
    harness.print_machine("# Coroutines", options.build)
    say(f"placing   one thread on core {core}, {harness.priority_text(is_raised)}")
    say("non-goal  contention between threads, cold caches: one thread works, and it is warm")
    harness.print_warnings(options.build, is_raised)
    program = pathlib.Path(options.build) / "bench" / "coro_bench"
    report = measure(str(program), core, ["--batches", str(batches), "--count", str(count)])
    print_report(report)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
