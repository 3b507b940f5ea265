#!/usr/bin/env python3
"""Echo: what a message costs the server, by every way of waiting, against servers in plain C.

Prints messages per server-CPU-second as a ratio to the baseline, system calls a message, and idle memory a connection.
"""

import argparse
import json
import pathlib
import random
import secrets
import socket
import sys

import harness
from harness import Contender, Refused, Samples, say, thousands, warn

# connections : bytes : depth, as the targets name them.
WORKLOADS = {
    "50:64:1": ["--connections", "50", "--bytes", "64", "--depth", "1"],
    "1000:64:1": ["--connections", "1000", "--bytes", "64", "--depth", "1"],
    "50:64:16": ["--connections", "50", "--bytes", "64", "--depth", "16"],
    "50:4096:1": ["--connections", "50", "--bytes", "4096", "--depth", "1"],
    "churn": ["--connections", "50", "--bytes", "64", "--churn"],
}
CALLS_WORKLOAD = "50:64:1"
CALLS_MESSAGES = 100_000

# Strategies of `confab serve` and the program in C that does the same by hand. A process a connection is dear to keep
# idle by the ten thousand, and select has no more than 1024 descriptors.
STRATEGIES = {
    "epoll": "raw epoll",
    "uring": "raw uring",
    "callback": "raw epoll",
    "poll": "raw epoll",
    "select": "raw epoll",
    "busy": "raw epoll",
    "thread": "raw thread",
    "fork": "raw fork",
}
FEWER_IDLE = {"fork": 500, "raw fork": 500, "select": 900}


def contenders(build, confab):
    programs = {
        "raw epoll": "baseline_epoll",
        "raw epoll, again": "baseline_epoll",
        "raw uring": "baseline_uring",
        "raw thread": "baseline_thread",
        "raw fork": "baseline_fork",
    }
    for name, program in programs.items():
        yield Contender(
            name, (str(build / "bench" / program),), "raw epoll", idle_connections=FEWER_IDLE.get(name, 10_000)
        )
    for name, baseline in STRATEGIES.items():
        command = (str(confab), "serve", "--app", "echo", "--listen", "127.0.0.1:0", "--strategy", name, "--ledger")
        yield Contender(name, command, baseline, is_ours=True, idle_connections=FEWER_IDLE.get(name, 10_000))


class Bench:
    def __init__(self, options):
        self.options = options
        self.build = pathlib.Path(options.build)
        self.load = str(self.build / "bench" / "echo_load")
        self.random = random.Random(options.seed)
        self.cores = harness.two_cores()
        self.refused = {}  # contender: why it takes no part
        self.costs, self.rates, self.busy = Samples(), Samples(), Samples()
        self.calls = {}  # contender: {"outside": ..., "ledger": ..., "allocations": ...}
        self.idle = {}  # contender: (bytes a connection, connections)
        confab = self.build / "cli" / "confab"
        self.contenders = [
            c for c in contenders(self.build, confab) if not options.contenders or c.name in options.contenders
        ]

    def active(self):
        return [c for c in self.contenders if c.name not in self.refused]

    def server(self, contender):
        return harness.Server(contender, self.cores[0])

    def run_load(self, server, workload, *more):
        command = [self.load, "--port", str(server.port), "--pid", str(server.pid), *WORKLOADS[workload], *more]
        return harness.run_load(command, self.cores[1])

    # --- The parts ---

    def probe(self):
        """Starts everyone once, so that what is missing is said before the long part."""
        for contender in self.contenders:
            try:
                with self.server(contender) as server:
                    self.run_load(server, CALLS_WORKLOAD, "--warmup", "0", "--messages", "200")
                for line in server.log.splitlines():
                    if "warning" in line:
                        warn(f"{contender.name}: {line}")
            except (Refused, TimeoutError, OSError) as reason:
                self.refused[contender.name] = str(reason)
        harness.refusals_told(self.refused)

    def measure(self):
        timing = ["--seconds", str(self.options.seconds), "--warmup", str(self.options.warmup)]
        for _ in range(self.options.rounds):
            for workload in self.options.workloads:
                order = self.active()
                self.random.shuffle(order)
                for contender in order:
                    self.sample(contender, workload, timing)

    def sample(self, contender, workload, timing):
        try:
            with self.server(contender) as server:
                figures = self.run_load(server, workload, *timing)
        except (Refused, TimeoutError, OSError) as reason:
            warn(f"{contender.name}, {workload}: {reason}")
            figures = {"messages": 0, "server_cpu_seconds": 0}
        has_figure = figures["messages"] > 0 and figures["server_cpu_seconds"] > 0
        self.costs.add(
            contender.name, workload, figures["messages"] / figures["server_cpu_seconds"] if has_figure else None
        )
        self.rates.add(contender.name, workload, figures["messages"] / figures["seconds"] if has_figure else None)
        self.busy.add(
            contender.name, workload, figures["server_cpu_seconds"] / figures["seconds"] if has_figure else None
        )

    def count_calls(self):
        counter_kind = harness.find_counter()
        if counter_kind is None:
            warn("neither perf nor strace may count here: system calls only from confab's own ledger")
        else:
            say(f"system calls counted by {counter_kind.name}\n")
        for contender in self.active():
            try:
                self.calls[contender.name] = self.count_calls_of(contender, counter_kind)
            except (Refused, TimeoutError, OSError) as reason:
                warn(f"{contender.name}, system calls: {reason}")

    def count_calls_of(self, contender, counter_kind):
        messages = ["--warmup", "0", "--seconds", "60", "--messages", str(self.options.calls_messages)]
        with self.server(contender) as server:
            counter = counter_kind(server.pid) if counter_kind else None
            try:
                figures = self.run_load(server, CALLS_WORKLOAD, *messages)
            finally:
                outside = counter.close() if counter else None
        ledger = server.ledger()
        calls = sum(ledger["system_calls"].values()) if "system_calls" in ledger else None
        total = figures["verified_bytes"] / figures["bytes"]
        return {
            "outside": outside / total if outside is not None else None,
            "ledger": calls / total if calls is not None else None,
            "allocations": ledger["allocations"] / total if "allocations" in ledger else None,
        }

    def measure_idle(self):
        limit = harness.raise_descriptor_limit()
        for contender in self.active():
            wanted = min(contender.idle_connections, self.options.idle, limit - 100)
            try:
                self.idle[contender.name] = self.measure_idle_of(contender, wanted)
            except (Refused, TimeoutError, OSError) as reason:
                warn(f"{contender.name}, {wanted} idle connections: {reason}")

    def measure_idle_of(self, contender, wanted):
        few = 20
        with self.server(contender) as server:
            peers = []
            try:
                while len(peers) < few:
                    peers.append(speaking_peer(server.port, len(peers)))
                before = harness.pss_bytes(server.pid)
                while len(peers) < few + wanted:
                    peers.append(speaking_peer(server.port, len(peers)))
                grown = harness.pss_bytes(server.pid) - before
            finally:
                for peer in peers:
                    peer.close()
        return grown / wanted, wanted

    # --- What is printed ---

    def print_costs(self):
        say("## Messages per server-CPU-second, as a ratio to the baseline")
        say("Median of the rounds' ratios, and half the width of their middle half.\n")
        rows = []
        for contender in self.active():
            cells = [contender.name, contender.baseline]
            for workload in self.options.workloads:
                ratio = self.costs.ratio(contender.name, contender.baseline, workload)
                cells.append("-" if ratio is None else f"{ratio[0]:.3f} ±{ratio[1]:.3f}")
            rows.append(cells)
        harness.print_table(["", "against", *self.options.workloads], rows)

        say("The same in messages per server-CPU-second (medians; they drift with the machine), and requests a second\n")
        rows = []
        for contender in self.active():
            cells = [contender.name]
            for workload in self.options.workloads:
                cost, rate = (s.median(contender.name, workload) for s in (self.costs, self.rates))
                cells.append(f"{thousands(cost)} ({thousands(rate)}/s)")
            rows.append(cells)
        harness.print_table(["", *self.options.workloads], rows)
        self.print_pairs()
        self.print_saturation()

    def print_pairs(self):
        """The comparisons that the targets name besides those with the baseline."""
        pairs = [("epoll", "callback"), ("raw uring", "raw epoll"), ("uring", "epoll")]
        rows = []
        for one, other in pairs:
            cells = []
            for workload in self.options.workloads:
                ratio = self.costs.ratio(one, other, workload)
                cells.append("-" if ratio is None else f"{ratio[0]:.3f} ±{ratio[1]:.3f}")
            if any(cell != "-" for cell in cells):
                rows.append([f"{one} / {other}", *cells])
        if rows:
            harness.print_table(["", *self.options.workloads], rows)

    def print_saturation(self):
        slack = [
            f"{contender.name} at {workload} ({busy:.0%})"
            for workload in self.options.workloads
            for contender in self.active()
            if (busy := self.busy.median(contender.name, workload)) is not None and busy < 0.75
        ]
        if slack:
            say(f"Not saturated (server busy less than 75 % of the time): {', '.join(slack)}\n")

    def print_calls_and_memory(self):
        say(f"## System calls and allocations a message ({CALLS_WORKLOAD}), idle memory a connection")
        say("Counted from outside and by confab's own ledger; memory is the growth of PSS, kernel memory not included.\n")

        def number(value, form):
            return "-" if value is None else format(value, form)

        rows = []
        for contender in self.active():
            calls = self.calls.get(contender.name, {})
            memory, connections = self.idle.get(contender.name, (None, None))
            rows.append(
                [
                    contender.name,
                    number(calls.get("outside"), ".3f"),
                    number(calls.get("ledger"), ".3f"),
                    number(calls.get("allocations"), ".4f"),
                    "-" if memory is None else f"{memory:.0f} B of {connections}",
                ]
            )
        harness.print_table(["", "calls", "ledger", "allocations", "idle memory"], rows)

    def as_json(self):
        def median_ratio(contender, workload):
            ratio = self.costs.ratio(contender.name, contender.baseline, workload)
            return ratio and {"median": ratio[0], "half_width": ratio[1]}

        return {
            "seed": self.options.seed,
            "refused": self.refused,
            "contenders": {
                c.name: {
                    "baseline": c.baseline,
                    "workloads": {
                        w: {
                            "messages_per_server_cpu_second": self.costs.rounds.get((c.name, w), []),
                            "ratio": median_ratio(c, w),
                        }
                        for w in self.options.workloads
                    },
                    "calls": self.calls.get(c.name),
                    "idle_bytes_per_connection": self.idle.get(c.name, (None,))[0],
                }
                for c in self.active()
            },
        }


def speaking_peer(port, index):
    """A connection that has had one message echoed and is idle from then on."""
    peer = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        peer.settimeout(harness.START_LIMIT_S)
        peer.bind((f"127.0.0.{1 + index % 200}", 0))
        peer.connect(("127.0.0.1", port))
        peer.sendall(b"idle")
        if peer.recv(64) != b"idle":
            raise Refused("a wrong echo")
        return peer
    except BaseException:
        peer.close()
        raise


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="./dev bench echo", description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", help="the build directory (default: build)")
    parser.add_argument("--quick", action="store_true", help="about a minute: few and short samples")
    parser.add_argument("--rounds", type=int, help="samples of each contender and workload (default: 15)")
    parser.add_argument("--seconds", type=float, help="length of a sample (default: 0.5)")
    parser.add_argument("--warmup", type=float, help="before each sample (default: 0.1)")
    parser.add_argument("--idle", type=int, help="idle connections for the memory figure (default: 10000; 0: none)")
    parser.add_argument("--calls-messages", type=int, metavar="N", help="messages to count system calls over; 0: none")
    parser.add_argument("--ordinary-priority", action="store_true", help="leave the machine's other work alone")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="W")
    parser.add_argument("--contenders", nargs="+", metavar="NAME", help="only these ('raw epoll' uring ...)")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="of the random order")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    options = parser.parse_args(arguments)
    quick = {"rounds": 3, "seconds": 0.15, "warmup": 0.03, "idle": 1000, "calls_messages": 20_000}
    full = {"rounds": 15, "seconds": 0.5, "warmup": 0.1, "idle": 10_000, "calls_messages": CALLS_MESSAGES}
    for name, value in (quick if options.quick else full).items():
        if getattr(options, name, None) is None:
            setattr(options, name, value)
    return options


def main(arguments):
    options = parse_arguments(arguments)
    is_raised = not options.ordinary_priority and harness.raise_priority()
    harness.raise_descriptor_limit()
    bench = Bench(options)
    harness.print_header("# Echo", bench.build, bench.cores, options.seed, is_raised)
    bench.probe()
    if not bench.active():
        harness.fail("nobody is left to measure")
    bench.measure()
    bench.print_costs()
    if options.calls_messages > 0:
        bench.count_calls()
    if options.idle > 0:
        bench.measure_idle()
    bench.print_calls_and_memory()
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(bench.as_json(), indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
