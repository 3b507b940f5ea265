#!/usr/bin/env python3
"""The toolbox of threads and processes: what its parts cost, beside what people would pick instead.

Each part is a program that prints one JSON object: {"rounds": N, "count": N, "measures": {measure: {contender:
[nanoseconds an operation, a figure a round]}}}. The first contender of a measure is the one that the others are divided
by, round for round: the median of those ratios holds still where a shared machine's speed does not. Python's figures
come from a program of its own; the two take turns.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

import harness
from harness import say

PROGRAMS = {"locks": "locks_bench", "channels": "channels_bench", "executors": "executors_bench"}
PYTHON = pathlib.Path(__file__).resolve().parent / "pools" / "python_pools.py"
PARTS_IN_PYTHON = ("channels", "executors")
TURNS = 5  # of the programs of a part
DEFAULTS = {"rounds": 40, "count": 100_000}
QUICK = {"rounds": 5, "count": 20_000}
LIMIT_S = 600.0

# (measure, contender, another or None for nanoseconds, at most).
TARGETS = {
    "channels": [
        ("put and get, alone", "threads::channel", "oneTBB's concurrent_bounded_queue", 1.3),
        ("one to one, room for 16", "threads::channel", "oneTBB's concurrent_bounded_queue", 1.3),
        ("one to one, room for 1024", "threads::channel", "oneTBB's concurrent_bounded_queue", 1.3),
        ("two to two, room for 1024", "threads::channel", "oneTBB's concurrent_bounded_queue", 1.3),
        ("there and back", "threads::channel", "oneTBB's concurrent_bounded_queue", 1.3),
        ("between processes", "processes::channel", None, 500),
    ],
    "executors": [
        ("submit to result", "thread_pool", "oneTBB's task_arena", 1.3),
        ("submit to result", "thread_pool", "std::async", 0.2),
        ("a task of a thousand", "thread_pool", "oneTBB's task_group", 1.3),
        ("a task of a thousand", "thread_pool", "std::async", 0.2),
        ("submit to result, in a process", "process_pool", None, 15_000),
        ("submit to result, in a process", "process_pool", "Python's multiprocessing.Pool", 0.1),
    ],
}


def run_program(command, arguments):
    """What a program prints. It may use every core."""
    done = subprocess.run([*command, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=LIMIT_S, check=False)
    if done.returncode != 0:
        harness.fail(f"{pathlib.Path(command[-1]).name}: exit {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def measure(part, build, rounds, count):
    """A part's report, of all its programs."""
    commands = [[str(pathlib.Path(build) / "bench" / PROGRAMS[part])]]
    if part in PARTS_IN_PYTHON:
        commands.append([sys.executable, str(PYTHON), part])
    turns = min(rounds, TURNS) if len(commands) > 1 else 1
    measures = {}
    for turn in range(turns):
        rounds_now = rounds * (turn + 1) // turns - rounds * turn // turns
        for command in commands:
            report = run_program(command, ["--rounds", str(rounds_now), "--count", str(count)])
            for name, contenders in report["measures"].items():
                for contender, figures in contenders.items():
                    measures.setdefault(name, {}).setdefault(contender, []).extend(figures)
    return {"rounds": rounds, "count": count, "measures": measures}


def ratio(figures, others):
    """Median over the rounds."""
    return statistics.median(mine / theirs for mine, theirs in zip(figures, others))


def print_targets(part, measures):
    rows = []
    for name, contender, other, at_most in TARGETS.get(part, []):
        figures, others = measures[name][contender], measures[name].get(other)
        if other is not None and others is None:
            continue  # not installed here
        figure = statistics.median(figures) if other is None else ratio(figures, others)
        verdict = f"<= {at_most:g}" if figure <= at_most else f"<= {at_most:g} MISSED"
        rows.append([f"{name}: {contender}", "ns" if other is None else other, f"{figure:.2f}", verdict])
    if rows:
        harness.print_table(["target", "to", "figure", ""], rows)


def print_report(part, report):
    say(f"## {part.capitalize()}: nanoseconds an operation, by the wall's clock")
    say(f"Least and median of {report['rounds']} rounds of {report['count']} operations, fewer where one takes long, after one")
    say("that warms up. The ratio to the first of each measure is the median over the rounds.\n")
    rows = []
    for name, contenders in report["measures"].items():
        first = next(iter(contenders.values()))
        for contender, figures in contenders.items():
            median = statistics.median(figures)
            rows.append([f"{name}: {contender}", f"{min(figures):.1f}", f"{median:.1f}", f"{ratio(figures, first):.2f}"])
    harness.print_table(["", "least", "median", "ratio"], rows)
    print_targets(part, report["measures"])


def main(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench pools", description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(PROGRAMS)}")
    parser.add_argument("--build", default="build", help="the build directory (default: build)")
    parser.add_argument("--quick", action="store_true", help="a few seconds: fewer and shorter rounds")
    parser.add_argument("--rounds", type=int, help="samples of each measure (default: 40)")
    parser.add_argument("--count", type=int, help="operations a sample (default: 100000)")
    parser.add_argument("--ordinary-priority", action="store_true", help="leave the machine's other work alone")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - set(PROGRAMS):
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PROGRAMS)}")

    defaults = QUICK if options.quick else DEFAULTS
    rounds, count = options.rounds or defaults["rounds"], options.count or defaults["count"]
    is_raised = not options.ordinary_priority and harness.raise_priority()
    harness.print_machine("# Threads and processes", options.build)
    say(f"placing   two threads, where the kernel puts them, {harness.priority_text(is_raised)}")
    say("non-goal  more than two threads, fairness: who waits longest may wait long")
    harness.print_warnings(options.build, is_raised)
    reports = {}
    for part in options.parts or PROGRAMS:
        reports[part] = measure(part, options.build, rounds, count)
        print_report(part, reports[part])
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(reports, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
