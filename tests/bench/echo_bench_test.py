#!/usr/bin/env python3
"""The bench's echo programs in small: echo_bench_test.py SOURCE_ROOT BUILD_ROOT. Nothing here is about time."""

import json
import re
import socket
import subprocess
import sys
import threading
import unittest

from programs import BUILD_ROOT, LIMIT_S, SOURCE_ROOT, ServerTest, harness


def load(port, *arguments):
    return subprocess.run(
        [BUILD_ROOT / "cli" / "confab", "load", f"127.0.0.1:{port}", "--json", "-", "--warmup", "0", "--duration", str(LIMIT_S),
         *arguments],
        capture_output=True, text=True, timeout=2 * LIMIT_S, check=False)


class Baselines(ServerTest):
    def check(self, program):
        for arguments in (["--connections", "7", "--size", "64"],
                          ["--connections", "3", "--size", "5000", "--pipeline", "8"],
                          ["--connections", "2", "--size", "100000"],
                          ["--connections", "5", "--churn"]):
            server = self.serve(program)
            done = load(server.port, "--pid", str(server.pid), "--count", "2000", *arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
            figures = json.loads(done.stdout)
            self.assertGreaterEqual(figures["messages"], 1)
            self.assertEqual(figures["errors"], 0)
            self.assertGreaterEqual(figures["server_cpu_seconds"], 0)  # it may be less than a tick of the kernel's
            server.end()
            self.assertEqual(server.process.returncode, 0, server.log)

    def test_the_epoll_baseline_echoes_and_ends_on_term(self):
        self.check("baseline_epoll")

    def test_the_uring_baseline_echoes_and_ends_on_term(self):
        self.check("baseline_uring")

    def test_the_thread_baseline_echoes_and_ends_on_term(self):
        self.check("baseline_thread")

    def test_the_fork_baseline_echoes_and_ends_on_term(self):
        self.check("baseline_fork")

    def test_a_peer_who_reads_late_gets_every_byte(self):
        data = bytes(range(251)) * 2000
        for program in ("baseline_epoll", "baseline_uring", "baseline_thread", "baseline_fork"):
            with self.subTest(program):
                server = self.serve(program)
                with socket.socket() as peer:
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    peer.settimeout(LIMIT_S)
                    peer.connect(("127.0.0.1", server.port))
                    sender = threading.Thread(target=lambda: (peer.sendall(data), peer.shutdown(socket.SHUT_WR)))
                    sender.start()
                    sender.join(LIMIT_S)
                    received = bytearray()
                    while piece := peer.recv(65536):
                        received += piece
                self.assertTrue(received == data, f"{len(received)} of {len(data)} bytes")


class Runner(ServerTest):
    def test_a_run_in_small_prints_every_table(self):
        report = BUILD_ROOT / "tests" / "echo_bench.json"
        done = subprocess.run(
            [sys.executable, SOURCE_ROOT / "bench" / "run_echo.py", "--build", BUILD_ROOT, "--rounds", "1",
             "--seconds", "0.02", "--warmup", "0", "--idle", "20", "--seed", "1", "--calls", "500",
             "--workloads", "50:64:1", "churn", "--json", report, "--ordinary-priority"],
            capture_output=True, text=True, timeout=5 * LIMIT_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("seed 1", done.stdout)
        self.assertRegex(done.stdout, r"\| raw epoll +\| +raw epoll \| +1\.000")
        self.assertRegex(done.stdout, r"\| epoll / callback +\|")
        contenders = json.loads(report.read_text(encoding="utf-8"))["contenders"]
        epoll = contenders["epoll"]
        self.assertGreater(epoll["workloads"]["50:64:1"]["ratio"]["median"], 0)
        self.assertGreater(epoll["calls"]["ledger"], 0)
        self.assertTrue(re.search(r"B of 20 \|", done.stdout))


class Figures(unittest.TestCase):
    def test_ratios_compare_only_figures_of_the_same_round(self):
        samples = harness.Samples()
        for mine, theirs in ((10, 10), (None, 1), (30, 20), (80, 40)):
            samples.add("mine", "w", mine)
            samples.add("theirs", "w", theirs)
        self.assertEqual(samples.ratios("mine", "theirs", "w"), [1.0, 1.5, 2.0])
        self.assertEqual(samples.ratio("mine", "theirs", "w")[0], 1.5)
        self.assertIsNone(samples.ratio("mine", "theirs", "other"))

    def test_the_ledger_is_the_last_line_of_json(self):
        server = harness.Server.__new__(harness.Server)
        server.log = 'listening on x:1\n{"a":1}\n{"a":2}\nbye\n'
        self.assertEqual(server.ledger(), {"a": 2})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
