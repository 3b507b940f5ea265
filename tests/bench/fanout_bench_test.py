#!/usr/bin/env python3
"""The bench's fan-out programs in small: fanout_bench_test.py SOURCE_ROOT BUILD_ROOT. Nothing here is about time."""

import contextlib
import json
import socket
import subprocess
import sys
import threading
import unittest

from programs import BUILD_ROOT, LIMIT_S, SOURCE_ROOT, ServerTest


def load(port, *arguments):
    return subprocess.run(
        [BUILD_ROOT / "bench" / "fanout_load", "--port", str(port), "--warmup", "0", "--duration", str(LIMIT_S),
         *arguments],
        capture_output=True, text=True, timeout=2 * LIMIT_S, check=False)


class Servers(ServerTest):
    def check(self, server):
        for arguments in (["--members", "3"],
                          ["--members", "7", "--flight", "5", "--rooms", "4"],
                          ["--members", "4", "--flight", "200"],
                          ["--members", "5", "--flight", "3", "--bytes", "1000"]):
            done = load(server.port, "--pid", str(server.pid), "--count", "600", *arguments)
            self.skip_without_uring(done)
            self.assertEqual(done.returncode, 0, done.stderr)
            figures = json.loads(done.stdout)
            self.assertGreaterEqual(figures["deliveries"], 600)
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


class FaultyRoom:
    """One room whose deliveries `spoil` may change: it gets the list of lines that a member is to get, and returns one."""

    def __init__(self, spoil):
        self.spoil = spoil
        self.peers = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept)
        self.thread.start()

    def accept(self):
        readers = []
        with contextlib.suppress(OSError):
            while True:
                peer = self.listener.accept()[0]
                self.peers.append(peer)
                readers.append(threading.Thread(target=self.read, args=(peer,)))
                readers[-1].start()
        for reader in readers:
            reader.join()

    def read(self, peer):
        with peer, peer.makefile("rb") as lines, contextlib.suppress(OSError):
            for line in lines:
                if line.startswith(b"/ping"):
                    peer.sendall(b"* pong ready\n")
                elif not line.startswith(b"/"):
                    self.deliver(peer, line)

    def deliver(self, speaker, line):
        with self.lock:
            for index, peer in enumerate(self.peers):
                if peer is not speaker:
                    peer.sendall(b"".join(self.spoil(index, line)))

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


class FanoutLoad(ServerTest):
    def run_against(self, spoil):
        room = FaultyRoom(spoil)
        try:
            done = load(room.port, "--members", "4", "--flight", "2", "--count", "60")
        finally:
            room.stop()
        self.skip_without_uring(done)
        return done

    def assert_seen(self, done, what):
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(what, done.stderr)

    def test_the_load_passes_true_deliveries(self):
        done = self.run_against(lambda member, line: [line])
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_load_passes_a_delivery_that_names_room_and_speaker(self):
        done = self.run_against(lambda member, line: [b"[bench-0] guest-1: " + line])
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_load_sees_another_room(self):
        self.assert_seen(self.run_against(lambda member, line: [b"[bench-1] guest-1: " + line]), "from another room")

    def test_the_load_sees_a_changed_text(self):
        self.assert_seen(self.run_against(lambda member, line: [line[:-2] + b"!\n"]), "not what was said")

    def test_the_load_sees_a_delivery_made_twice(self):
        self.assert_seen(self.run_against(lambda member, line: [line] * (2 if member == 2 else 1)), "member 2: ")

    def test_the_load_sees_two_deliveries_swapped(self):
        held = []

        def swap(member, line):
            if member != 2:
                return [line]
            held.append(line)
            if len(held) < 2:
                return []
            pair = held[::-1]
            held.clear()
            return pair

        self.assert_seen(self.run_against(swap), "out of the room's order")


class Runner(ServerTest):
    def test_a_run_in_small_prints_every_table(self):
        report = BUILD_ROOT / "tests" / "fanout_bench.json"
        done = subprocess.run(
            [sys.executable, SOURCE_ROOT / "bench" / "run_fanout.py", "--build", BUILD_ROOT, "--rounds", "1",
             "--seconds", "0.02", "--warmup", "0", "--seed", "1", "--calls", "4000", "--workloads", "100:1",
             "--json", report, "--ordinary-priority"],
            capture_output=True, text=True, timeout=5 * LIMIT_S, check=False)
        self.skip_without_uring(done)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"\| raw epoll +\| +raw epoll \| +1\.000")
        epoll = json.loads(report.read_text(encoding="utf-8"))["contenders"]["epoll"]
        self.assertGreater(epoll["workloads"]["100:1"]["ratio"]["median"], 0)
        self.assertGreater(epoll["calls"]["ledger"], 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
