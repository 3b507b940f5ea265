#!/usr/bin/env python3
"""Echo: what a message costs the server, by every way of waiting, against servers in plain C.

Prints messages per server-CPU-second as a ratio to the baseline, system calls a message, and idle memory a connection.
"""

import json
import pathlib
import socket
import sys

import harness
import rounds
from harness import Contender, Refused, say, warn

# Strategies of `confab serve`, and the program in C that does the same by hand.
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
BASELINES = {
    "raw epoll": "baseline_epoll",
    "raw epoll, again": "baseline_epoll",  # its ratio to itself is what the run cannot tell apart
    "raw uring": "baseline_uring",
    "raw thread": "baseline_thread",
    "raw fork": "baseline_fork",
}
# Ten thousand idle processes are dear, and select(2) ends at descriptor 1023.
MOST_IDLE = {"fork": 500, "raw fork": 500, "select": 900}

# A young connection acknowledges every segment at once, and its server may still be accepting others or starting
# threads: nothing counts before each has had so many answers.
SETTLED = ["--settle", "64"]


class EchoBench(rounds.Bench):
    title = "# Echo"
    unit = "messages"
    # connections:bytes:depth. churn: connect, one echo, close, over and over.
    workloads = {
        "50:64:1": ["--connections", "50", "--size", "64", *SETTLED],
        "1000:64:1": ["--connections", "1000", "--size", "64", *SETTLED],
        "50:64:16": ["--connections", "50", "--size", "64", "--pipeline", "16", *SETTLED],
        "50:4096:1": ["--connections", "50", "--size", "4096", *SETTLED],
        "churn": ["--connections", "50", "--size", "64", "--churn"],
    }
    calls_workload = "50:64:1"
    probe = ["--connections", "5"]
    pairs = [("epoll", "callback"), ("raw uring", "raw epoll"), ("uring", "epoll")]

    def __init__(self, options):
        super().__init__(options)
        self.idle = {}  # contender: (bytes a connection, connections)

    def load_command(self, server):
        address = f"127.0.0.1:{server.port}"
        return [str(self.build / "cli" / "confab"), "load", address, "--json", "-", "--pid", str(server.pid)]

    def all_contenders(self):
        for name, program in BASELINES.items():
            yield Contender(name, (str(self.build / "bench" / program),), "raw epoll")
        confab = str(self.build / "cli" / "confab")
        for name, baseline in STRATEGIES.items():
            serve = (confab, "serve", "--app", "echo", "--listen", "127.0.0.1:0", "--strategy", name, "--ledger")
            yield Contender(name, serve, baseline)

    def counted(self, figures):
        return figures["messages"]

    def counted_in_all(self, figures):
        return figures["answered"]

    def run(self):
        super().run()
        if self.options.idle > 0:
            self.measure_idle()
        self.print_calls_and_memory()

    def measure_idle(self):
        most = min(self.options.idle, harness.raise_descriptor_limit() - 100)
        for contender in self.active():
            wanted = min(most, MOST_IDLE.get(contender.name, most))
            try:
                with self.server(contender) as server:
                    self.idle[contender.name] = growth_by_idle_peers(server, wanted), wanted
            except (Refused, TimeoutError, OSError) as reason:
                warn(f"{contender.name}, {wanted} idle connections: {reason}")

    def print_calls_and_memory(self):
        say(f"## System calls and allocations a message ({self.calls_workload}), idle memory a connection")
        say("Calls as counted from outside, and by confab's own ledger. Memory is the growth of PSS over so many")
        say("connections that have had one message each; the kernel's memory is not in it.\n")
        rows = []
        for contender in self.active():
            memory, connections = self.idle.get(contender.name, (None, None))
            cell = "-" if memory is None else f"{memory:.0f} B of {connections}"
            rows.append([contender.name, *self.calls_cells(contender.name), cell])
        harness.print_table(["", "calls", "ledger", "allocations", "idle memory"], rows)

    def as_json(self):
        document = super().as_json()
        for name, (memory, _) in self.idle.items():
            document["contenders"][name]["idle_bytes_per_connection"] = memory
        return document


def growth_by_idle_peers(server, count):
    """Bytes of memory a connection that `count` idle connections cost, beyond what the first few made the server set up."""
    few = 20
    peers = []
    try:
        while len(peers) < few:
            peers.append(speaking_peer(server.port, len(peers)))
        before = harness.pss_bytes(server.pid)
        while len(peers) < few + count:
            peers.append(speaking_peer(server.port, len(peers)))
        return (harness.pss_bytes(server.pid) - before) / count
    finally:
        for peer in peers:
            peer.close()


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


def main(arguments):
    parser = rounds.argument_parser(
        EchoBench, "./dev bench echo", __doc__.splitlines()[0],
        full={"rounds": 15, "seconds": 0.5, "warmup": 0.1, "calls": 100_000, "idle": 10_000,
              "workloads": list(EchoBench.workloads)},
        quick={"rounds": 3, "seconds": 0.15, "warmup": 0.03, "calls": 20_000, "idle": 1_000,
               "workloads": list(EchoBench.workloads)},
    )
    parser.add_argument("--idle", type=int, metavar="N", help="idle connections for the memory figure; 0: none")
    bench = EchoBench(rounds.parse(parser, arguments))
    bench.run()
    if bench.options.json:
        pathlib.Path(bench.options.json).write_text(json.dumps(bench.as_json(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
