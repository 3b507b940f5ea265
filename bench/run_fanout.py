#!/usr/bin/env python3
"""Fan-out: what a delivery costs the chat server, by ways of waiting, against rooms in plain C.

A line in, a line out to every other member of the room, 64 bytes. Prints deliveries per server-CPU-second as a ratio to
the baseline, and system calls a delivery.
"""

import json
import pathlib
import sys

import harness
import rounds
from harness import Contender, say

STRATEGIES = {
    "epoll": "raw epoll",
    "uring": "raw uring",
    "poll": "raw epoll",
    "busy": "raw epoll",
    "thread": "raw epoll",
    "percore": "raw epoll",
}
BASELINES = {
    "raw epoll": "baseline_fanout_epoll",
    "raw epoll, again": "baseline_fanout_epoll",  # its ratio to itself is what the run cannot tell apart
    "raw uring": "baseline_fanout_uring",
}


def workload(rooms, members, burst):
    return ["--rooms", str(rooms), "--connections", str(members), "--burst", str(burst), "--size", "64"]


class FanoutBench(rounds.Bench):
    title = "# Fan-out"
    unit = "deliveries"
    # members, of so many rooms by Zipf's law where there is more than one; lines that a speaker says at once.
    workloads = {
        "100:1": workload(1, 100, 1),
        "100:32": workload(1, 100, 32),
        "1000:1": workload(1, 1000, 1),
        "1000:32": workload(1, 1000, 32),
        "1000/100:1": workload(100, 1000, 1),
        "1000/100:32": workload(100, 1000, 32),
    }
    calls_workload = "100:32"
    probe = ["--connections", "5", "--burst", "1"]
    pairs = [("raw uring", "raw epoll"), ("uring", "epoll")]

    def load_command(self, server):
        address = f"127.0.0.1:{server.port}"
        return [str(self.build / "cli" / "confab"), "load", address, "--app", "chat", "--json", "-", "--pid", str(server.pid)]

    def all_contenders(self):
        for name, program in BASELINES.items():
            yield Contender(name, (str(self.build / "bench" / program),), "raw epoll")
        confab = str(self.build / "cli" / "confab")
        for name, baseline in STRATEGIES.items():
            serve = (confab, "serve", "--app", "chat", "--listen", "127.0.0.1:0", "--strategy", name, "--ledger")
            yield Contender(name, serve, baseline)

    def counted(self, figures):
        return figures["messages"]

    def counted_in_all(self, figures):
        return figures["answered"]

    def run(self):
        super().run()
        say(f"## System calls and allocations a delivery ({self.calls_workload}), joining included")
        say("Calls as counted from outside, and by confab's own ledger.\n")
        harness.print_table(
            ["", "calls", "ledger", "allocations"], [[c.name, *self.calls_cells(c.name)] for c in self.active()]
        )


def main(arguments):
    parser = rounds.argument_parser(
        FanoutBench, "./dev bench fanout", __doc__.splitlines()[0],
        full={"rounds": 15, "seconds": 0.5, "warmup": 0.1, "calls": 3_000_000,
              "workloads": list(FanoutBench.workloads)},
        quick={"rounds": 3, "seconds": 0.15, "warmup": 0.03, "calls": 1_000_000,
               "workloads": ["100:1", "100:32", "1000/100:32"],
               "contenders": [*BASELINES, "epoll", "uring", "percore"]},
    )
    bench = FanoutBench(rounds.parse(parser, arguments))
    bench.run()
    if bench.options.json:
        pathlib.Path(bench.options.json).write_text(json.dumps(bench.as_json(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
