#!/usr/bin/env python3
"""`confab compare` for real, with as little as there can be: a few servers, a few hundredths of a second each.

Usage: compare_test.py CONFAB
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from programs import LIMIT_S, Reader  # noqa: E402

CONFAB = None
TINY = ("--seconds", "0.03", "--seed", "7")


def compare(*arguments):
    return subprocess.run([CONFAB, "compare", *arguments], capture_output=True, text=True, timeout=4 * LIMIT_S, check=False)


def servers_of(pid):
    """The numbers of the processes that it has started and that still run."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in children.read_text(encoding="ascii").split()]


def is_running(pid):
    try:
        return "State:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return False


class Compare(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.file = f"{directory.name}/run.json"

    def record(self):
        return json.loads(pathlib.Path(self.file).read_text(encoding="utf-8"))

    def test_every_strategy_is_measured_in_every_block_and_its_cost_with_it(self):
        # Long enough for every server to answer something in it, on a slow machine, too.
        done = compare("--quick", "--workloads", "W1", "--blocks", "2", "--json", self.file, "--seconds", "0.2", "--seed", "7")
        self.assertEqual(done.returncode, 0, done.stderr)
        cells = self.record()["cells"]
        self.assertEqual(len(cells), 2 * 15)
        self.assertEqual(len({(cell["block"], cell["contender"]) for cell in cells}), 30)
        for cell in cells:
            with self.subTest(cell["contender"]):
                self.assertNotIn("failure", cell)
                for figure in ("cpu_us", "switches", "system_calls", "served", "starved"):
                    self.assertIn(figure, cell["figures"])
        self.assertIn("epoll again", done.stdout)
        self.assertIn("repeat it with: confab compare --quick", done.stdout)
        self.assertIn("--seed 7", done.stdout)

    def test_every_workload_can_be_run(self):
        done = compare("--quick", "--strategies", "epoll,sequential", "--workloads", "all", "--blocks", "1", "--json", self.file,
                       *TINY)
        self.assertEqual(done.returncode, 0, done.stderr)
        record = self.record()
        self.assertEqual({cell["workload"] for cell in record["cells"]}, {f"W{number}" for number in range(1, 13)})
        for cell in record["cells"]:
            if cell["contender"] == "epoll":
                with self.subTest(cell["workload"]):
                    self.assertNotIn("failure", cell)
                    self.assertGreater(cell["figures"]["served"], 0)
        self.assertGreater(record["settings"]["capacity"], 0)
        starved = {cell["workload"] for cell in record["cells"]
                   if cell["contender"] == "sequential" and cell["figures"]["starved"] > 0}
        self.assertLessEqual({"W1", "W3", "W8"}, starved)

    def test_the_same_seed_gives_the_same_order(self):
        orders = []
        for _ in range(2):
            compare("--quick", "--strategies", "epoll,poll,select", "--workloads", "W1", "--blocks", "2", "--json", self.file, *TINY)
            orders.append([cell["contender"] for cell in self.record()["cells"]])
        self.assertEqual(*orders)
        self.assertEqual(len(orders[0]), 8)

    def test_an_interrupted_run_keeps_what_it_has_and_is_gone_on_with(self):
        running = subprocess.Popen([CONFAB, "compare", "--quick", "--strategies", "epoll,poll", "--workloads", "W1", "--blocks",
                                    "20", "--json", self.file, *TINY], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        Reader(running.stderr).until(r"% ")
        running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(LIMIT_S), 0)
        running.stderr.close()
        before = self.record()["cells"]
        self.assertGreater(len(before), 0)
        self.assertLess(len(before), 60)
        done = compare("--resume", self.file)
        self.assertEqual(done.returncode, 0, done.stderr)
        cells = self.record()["cells"]
        self.assertEqual(cells[:len(before)], before)
        self.assertEqual(len(cells), 60)

    def test_a_server_ends_with_the_comparison_that_is_killed(self):
        running = subprocess.Popen([CONFAB, "compare", "--strategies", "prefork", "--workloads", "W1", "--seconds", "1000"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (servers := servers_of(running.pid)) or not servers_of(servers[0]):
            os.sched_yield()
        family = [*servers, *servers_of(servers[0])]
        running.kill()
        running.wait()
        while any(is_running(pid) for pid in family):  # the test's own limit ends a failure
            os.sched_yield()

    def test_options_in_the_environment_do_not_change_what_is_compared(self):
        done = subprocess.run([CONFAB, "compare", "--quick", "--strategies", "epoll", "--workloads", "W1", "--blocks", "1", "--json",
                               self.file, *TINY], env=os.environ | {"CONFAB_STRATEGY": "sequential", "CONFAB_MAX_CONNECTIONS": "1"},
                              capture_output=True, text=True, timeout=LIMIT_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([cell["figures"]["starved"] for cell in self.record()["cells"]], [0, 0])

    def test_two_runs_are_compared(self):
        compare("--quick", "--strategies", "epoll,poll", "--workloads", "W1", "--blocks", "3", "--json", self.file, *TINY)
        done = compare("--show", self.file)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("W1 Echo of 64 bytes", done.stdout)
        done = compare("--diff", self.file, self.file)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("W1 64 connections, poll", done.stdout)
        self.assertIn("indistinguishable", done.stdout)

    def test_what_cannot_be_is_refused_in_one_line(self):
        for arguments, named in ((["--strategies", "nothing"], "nothing"), (["--workloads", "W99"], "W99"),
                                 (["--blocks", "x"], "--blocks"), (["--diff", "one"], "--diff")):
            with self.subTest(arguments):
                done = compare(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertIn(named, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        done = compare("--resume", self.file)
        self.assertEqual((done.returncode, done.stderr),
                         (1, f"confab: cannot read {self.file}: No such file or directory\n"))


if __name__ == "__main__":
    CONFAB = sys.argv.pop(1)
    unittest.main()
