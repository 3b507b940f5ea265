#!/usr/bin/env python3
"""The bench's fan-out programs in small: fanout_bench_test.py SOURCE_ROOT BUILD_ROOT. Nothing here is about time."""

import json
import socket
import subprocess
import sys
import unittest

from programs import BUILD_ROOT, LIMIT_S, SOURCE_ROOT, ServerTest


def load(port, *arguments):
    return subprocess.run(
        [BUILD_ROOT / "cli" / "confab", "load", f"127.0.0.1:{port}", "--app", "chat", "--warmup", "0", "--duration", str(LIMIT_S),
         "--json", "-", *arguments],
        capture_output=True, text=True, timeout=2 * LIMIT_S, check=False)


class Servers(ServerTest):
    def check(self, server):
        for arguments in (["--connections", "3", "--burst", "1"],
                          ["--connections", "28", "--burst", "5", "--rooms", "4"],
                          ["--connections", "4", "--burst", "64"],
                          ["--connections", "5", "--burst", "3", "--size", "1000"]):
            done = load(server.port, "--pid", str(server.pid), "--count", "600", *arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
            figures = json.loads(done.stdout)
            self.assertGreaterEqual(figures["answered"], 600)
            self.assertEqual(figures["errors"], 0)
        server.end()
        self.assertEqual(server.process.returncode, 0, server.log)

    def test_the_epoll_baseline_delivers_in_one_order(self):
        self.check(self.serve("baseline_fanout_epoll"))

    def test_the_uring_baseline_delivers_in_one_order(self):
        self.check(self.serve("baseline_fanout_uring"))

    def test_the_chat_delivers_in_one_order(self):
        confab = str(BUILD_ROOT / "cli" / "confab")
        self.check(self.start("epoll", confab, "serve", "--listen", "127.0.0.1:0", "--strategy", "epoll"))

    def test_a_member_who_reads_late_gets_every_line(self):
        line = b"x" * 999 + b"\n"
        count = 700
        for program in ("baseline_fanout_epoll", "baseline_fanout_uring"):
            with self.subTest(program):
                server = self.serve(program)
                with socket.socket() as late, socket.create_connection(("127.0.0.1", server.port), LIMIT_S) as speaker:
                    late.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    late.settimeout(LIMIT_S)
                    late.connect(("127.0.0.1", server.port))
                    for peer in (late, speaker):
                        peer.sendall(b"/join one\n/ping here\n")
                        self.assertEqual(peer.recv(100), b"* pong here\n")
                    speaker.sendall(line * count + b"/ping done\n")
                    self.assertEqual(speaker.recv(100), b"* pong done\n")
                    received = bytearray()
                    while len(received) < count * len(line):
                        piece = late.recv(65536)
                        self.assertTrue(piece, "put out")
                        received += piece
                self.assertTrue(received == line * count)


class Runner(ServerTest):
    def test_a_run_in_small_prints_every_table(self):
        report = BUILD_ROOT / "tests" / "fanout_bench.json"
        done = subprocess.run(
            [sys.executable, SOURCE_ROOT / "bench" / "run_fanout.py", "--build", BUILD_ROOT, "--rounds", "1",
             "--seconds", "0.02", "--warmup", "0", "--seed", "1", "--calls", "4000", "--workloads", "100:1",
             "--json", report, "--ordinary-priority"],
            capture_output=True, text=True, timeout=5 * LIMIT_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"\| raw epoll +\| +raw epoll \| +1\.000")
        epoll = json.loads(report.read_text(encoding="utf-8"))["contenders"]["epoll"]
        self.assertGreater(epoll["workloads"]["100:1"]["ratio"]["median"], 0)
        self.assertGreater(epoll["calls"]["ledger"], 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
