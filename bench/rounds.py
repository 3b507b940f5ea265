"""Rounds of samples over contenders and workloads, and the tables of what they cost: what the runners have in common."""

import argparse
import pathlib
import random
import secrets

import harness
from harness import Refused, Samples, say, thousands, warn


class Bench:
    """One run. A subclass says who takes part and what a workload is."""

    title = ""
    unit = ""  # what is counted, in the plural
    workloads = {}  # name: arguments of the load
    calls_workload = ""
    probe = []  # arguments of a load that only asks whether the server works
    pairs = []  # (one, other): compared besides everyone with his baseline

    def __init__(self, options):
        self.options = options
        self.build = pathlib.Path(options.build)
        self.random = random.Random(options.seed)
        self.cores = harness.two_cores()
        self.refused = {}  # contender: why it takes no part
        self.costs, self.rates, self.busy = Samples(), Samples(), Samples()
        self.calls = {}  # contender: {"outside": ..., "ledger": ..., "allocations": ...}
        self.contenders = [c for c in self.all_contenders() if not options.contenders or c.name in options.contenders]

    def all_contenders(self):
        raise NotImplementedError

    def counted(self, figures):
        """How many were counted in the measured window."""
        raise NotImplementedError

    def counted_in_all(self, figures):
        """The same of the whole run of the load."""
        raise NotImplementedError

    def run(self):
        is_raised = not self.options.ordinary_priority and harness.raise_priority()
        harness.raise_descriptor_limit()
        harness.print_header(self.title, self.build, self.cores, self.options.seed, is_raised)
        self.probe_all()
        if not self.active():
            harness.fail("nobody is left to measure")
        self.measure()
        self.print_costs()
        if self.options.calls > 0:
            self.count_calls()

    def active(self):
        return [c for c in self.contenders if c.name not in self.refused]

    def server(self, contender):
        return harness.Server(contender, self.cores[0])

    def load_command(self, server):
        """The load against this server, without a workload's arguments."""
        raise NotImplementedError

    def run_load(self, server, arguments):
        return harness.run_load([*self.load_command(server), *arguments], self.cores[1])

    # --- Measuring ---

    def probe_all(self):
        """Starts everyone once, so that what is missing is said before the long part."""
        for contender in self.contenders:
            try:
                with self.server(contender) as server:
                    self.run_load(server, [*self.probe, "--warmup", "0", "--count", "200"])
                for line in server.log.splitlines():
                    if "warning" in line:
                        warn(f"{contender.name}: {line}")
            except (Refused, TimeoutError, OSError) as reason:
                self.refused[contender.name] = str(reason)
        for name, reason in self.refused.items():
            warn(f"{name} does not take part: {reason.splitlines()[0]}")
        say("")

    def measure(self):
        for _ in range(self.options.rounds):
            for workload in self.options.workloads:
                order = self.active()
                self.random.shuffle(order)
                for contender in order:
                    self.sample(contender, workload)

    def sample(self, contender, workload):
        cost = rate = busy = None
        timing = ["--duration", str(self.options.seconds), "--warmup", str(self.options.warmup)]
        try:
            with self.server(contender) as server:
                figures = self.run_load(server, self.workloads[workload] + timing)
            count, cpu_s, seconds = self.counted(figures), figures["server_cpu_seconds"], figures["seconds"]
            if count > 0 and cpu_s > 0:
                cost, rate, busy = count / cpu_s, count / seconds, cpu_s / seconds
        except (Refused, TimeoutError, OSError) as reason:
            warn(f"{contender.name}, {workload}: {reason}")
        self.costs.add(contender.name, workload, cost)
        self.rates.add(contender.name, workload, rate)
        self.busy.add(contender.name, workload, busy)

    def count_calls(self):
        counter_kind = harness.find_counter()
        if counter_kind is None:
            warn("neither perf nor strace may count here: system calls only from confab's own ledger\n")
        else:
            say(f"System calls counted by {counter_kind.name}\n")
        for contender in self.active():
            try:
                self.calls[contender.name] = self.count_calls_of(contender, counter_kind)
            except (Refused, TimeoutError, OSError) as reason:
                warn(f"{contender.name}, system calls: {reason}")

    def count_calls_of(self, contender, counter_kind):
        limits = ["--warmup", "0", "--duration", "60", "--count", str(self.options.calls)]
        with self.server(contender) as server:
            counter = counter_kind(server.pid) if counter_kind else None
            try:
                figures = self.run_load(server, self.workloads[self.calls_workload] + limits)
            finally:
                outside = counter.close() if counter else None
        total = self.counted_in_all(figures)
        ledger = server.ledger()
        calls = sum(ledger["system_calls"].values()) if "system_calls" in ledger else None
        return {
            "outside": outside / total if outside is not None else None,
            "ledger": calls / total if calls is not None else None,
            "allocations": ledger["allocations"] / total if "allocations" in ledger else None,
        }

    # --- Printing ---

    def print_costs(self):
        say(f"## {self.unit.capitalize()} per server-CPU-second, as a ratio to the baseline")
        say("Median of the rounds' ratios, and half the width of their middle half.\n")
        head = ["", "against", *self.options.workloads]
        harness.print_table(head, [[c.name, c.baseline, *self.ratio_cells(c.name, c.baseline)] for c in self.active()])
        rows = [[f"{one} / {other}", *self.ratio_cells(one, other)] for one, other in self.pairs]
        rows = [row for row in rows if set(row[1:]) != {"-"}]
        if rows:
            harness.print_table(["", *self.options.workloads], rows)
        say(f"{self.unit.capitalize()} per server-CPU-second, and in brackets per second: medians, which drift with the machine\n")
        harness.print_table(["", *self.options.workloads], [[c.name, *self.rate_cells(c.name)] for c in self.active()])
        self.print_slack()

    def ratio_cells(self, one, other):
        for workload in self.options.workloads:
            ratio = self.costs.ratio(one, other, workload)
            yield "-" if ratio is None else f"{ratio[0]:.3f} ±{ratio[1]:.3f}"

    def rate_cells(self, name):
        for workload in self.options.workloads:
            cost, rate = self.costs.median(name, workload), self.rates.median(name, workload)
            yield "-" if cost is None else f"{thousands(cost)} ({thousands(rate)})"

    def print_slack(self):
        slack = [
            f"{contender.name} at {workload} ({busy:.0%})"
            for workload in self.options.workloads
            for contender in self.active()
            if (busy := self.busy.median(contender.name, workload)) is not None and busy < 0.75
        ]
        if slack:
            say(f"Not saturated (the server worked less than 75 % of the time): {', '.join(slack)}\n")

    def calls_cells(self, name):
        calls = self.calls.get(name, {})
        for key, form in (("outside", ".3f"), ("ledger", ".3f"), ("allocations", ".4f")):
            yield "-" if calls.get(key) is None else format(calls[key], form)

    def as_json(self):
        def workload_json(contender, workload):
            ratio = self.costs.ratio(contender.name, contender.baseline, workload)
            return {
                "per_server_cpu_second": self.costs.rounds.get((contender.name, workload), []),
                "ratio": ratio and {"median": ratio[0], "half_width": ratio[1]},
            }

        return {
            "seed": self.options.seed,
            "refused": self.refused,
            "contenders": {
                c.name: {
                    "baseline": c.baseline,
                    "workloads": {w: workload_json(c, w) for w in self.options.workloads},
                    "calls": self.calls.get(c.name),
                }
                for c in self.active()
            },
        }


def argument_parser(bench_kind, program, description, full, quick):
    """The options of every runner. `full` and `quick`: what an ordinary run and --quick set where nothing is said."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.set_defaults(full=full, quick_values=quick)
    parser.add_argument("--build", default="build", help="the build directory (default: build)")
    parser.add_argument("--quick", action="store_true", help="about a minute: few and short samples")
    parser.add_argument("--rounds", type=int, help=f"samples of each contender and workload (default: {full['rounds']})")
    parser.add_argument("--seconds", type=float, help=f"length of a sample (default: {full['seconds']})")
    parser.add_argument("--warmup", type=float, help=f"seconds before each sample (default: {full['warmup']})")
    parser.add_argument(
        "--calls", type=int, metavar="N", help=f"{bench_kind.unit} to count system calls over; 0: none"
    )
    parser.add_argument(
        "--workloads", nargs="+", choices=bench_kind.workloads, metavar="W",
        help=f"only these: {' '.join(bench_kind.workloads)}",
    )
    parser.add_argument("--contenders", nargs="+", metavar="NAME", help="only these ('raw epoll' uring ...)")
    parser.add_argument("--ordinary-priority", action="store_true", help="leave the machine's other work alone")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="of the random order")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    return parser


def parse(parser, arguments):
    options = parser.parse_args(arguments)
    for name, value in (options.quick_values if options.quick else options.full).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options
