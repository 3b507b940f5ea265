#!/usr/bin/env python3
"""`confab load` against servers that do right, and against servers that do wrong in one way each.

Usage: load_test.py CONFAB
"""

import json
import os
import pathlib
import pty
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from programs import LIMIT_S, Reader, Server  # noqa: E402

CONFAB = None
SIZE = 64


def load(address, *arguments, seconds=LIMIT_S):
    """A load; most end before their time, after a number of messages. Nothing here is about how long anything takes."""
    return subprocess.run([CONFAB, "load", address, "--warmup", "0", "--duration", str(seconds), *arguments],
                          capture_output=True, text=True, timeout=2 * LIMIT_S, check=False)


def echo_server(app="echo", address="127.0.0.1:0", strategy="epoll"):
    return Server(CONFAB, "serve", "--app", app, "--strategy", strategy, "--listen", address)


class RightServers(unittest.TestCase):
    def check(self, server, *arguments):
        done = load(server.address, "--count", "500", "--json", "-", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(done.stdout)
        self.assertEqual(figures["errors"], 0)
        self.assertGreaterEqual(figures["messages"], 1)
        self.assertGreaterEqual(figures["verified_bytes"], 500 * figures["size"])
        return figures

    def test_every_byte_of_an_echo_is_compared(self):
        with echo_server() as server:
            for arguments in ([], ["--connections", "3", "--size", "5000", "--pipeline", "8"], ["--size", "1"],
                              ["--connections", "2", "--size", "300000", "--pipeline", "4"], ["--churn"],
                              ["--threads", "3", "--connections", "7"], ["--waiting", "epoll"],
                              ["--waiting", "poll", "--churn"]):
                with self.subTest(arguments):
                    self.check(server, "--pid", str(server.process.pid), *arguments)

    def test_an_upper_server_is_compared_with_capital_letters(self):
        with echo_server("upper") as server:
            self.check(server, "--app", "upper", "--pipeline", "4")
            self.assertEqual(load(server.address, "--app", "echo", "--count", "10", "--grace", "1").returncode, 1)

    def test_a_unix_socket_is_a_target_and_tcp_may_be_named(self):
        with tempfile.TemporaryDirectory() as directory:
            with echo_server(address=f"unix:{directory}/echo") as server:
                self.check(server, "--connections", "20")
        with echo_server() as server:
            self.assertEqual(load(f"tcp://{server.address}", "--count", "10").returncode, 0)

    def test_an_open_loop_reports_both_latencies(self):
        with echo_server() as server:
            for arrivals in ("constant", "poisson"):
                figures = self.check(server, "--rate", "5000", "--arrivals", arrivals, "--pipeline", "4")
                self.assertEqual(figures["mode"], "open")
                self.assertGreater(figures["latency"]["count"], 0)
                self.assertGreater(figures["uncorrected_latency"]["count"], 0)

    def test_a_profile_is_an_open_loop(self):
        with echo_server() as server:
            done = load(server.address, "--profile", "0.5:0-2000,0.5:2000", "--json", "-")
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(done.stdout)
        self.assertEqual(figures["latency"]["count"], figures["uncorrected_latency"]["count"] + figures["never_sent"])

    def test_the_histogram_in_the_json_counts_every_message_that_is_measured(self):
        with echo_server() as server:
            latency = self.check(server, "--settle", "1")["latency"]
        self.assertEqual(sum(count for _, count in latency["buckets_ns"]), latency["count"])
        ends = [end for end, _ in latency["buckets_ns"]]
        self.assertEqual(ends, sorted(set(ends)))

    def test_files_are_written_and_the_summary_goes_to_the_terminal(self):
        with tempfile.TemporaryDirectory() as directory, echo_server() as server:
            report, hgrm = f"{directory}/load.json", f"{directory}/load.hgrm"
            done = load(server.address, "--count", "200", "--json", report, "--hgrm", hgrm)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"faults +none; every byte compared")
            self.assertEqual(json.loads(pathlib.Path(report).read_text(encoding="utf-8"))["errors"], 0)
            self.assertRegex(pathlib.Path(hgrm).read_text(encoding="utf-8"), r"Value +Percentile +TotalCount")

    def test_connections_that_a_server_never_gets_round_to_are_counted_as_starved(self):
        with echo_server(strategy="sequential") as server:
            done = load(server.address, "--connections", "3", "--count", "100", "--grace", "1", "--json", "-")
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(done.stdout)
        self.assertEqual((figures["served"], figures["starved"]), (1, 2))

    def test_bystanders_are_there_before_the_load_and_no_part_of_it(self):
        with echo_server() as server:
            figures = self.check(server, "--connections", "2", "--idle", "30", "--dribblers", "3", "--slow-readers", "2")
        self.assertEqual((figures["bystanders"], figures["served"]), (35, 2))

    def test_who_is_idle_may_keep_a_server_from_all_others(self):
        with echo_server(strategy="sequential") as server:
            done = load(server.address, "--connections", "2", "--idle", "1", "--grace", "0.1", "--json", "-", seconds=0.2)
        self.assertEqual(done.returncode, 0, done.stderr)
        figures = json.loads(done.stdout)
        self.assertEqual((figures["bystanders"], figures["served"], figures["starved"]), (1, 0, 2))

    def test_a_room_that_is_never_greeted_is_not_waited_for_without_end(self):
        with Server(CONFAB, "serve", "--app", "chat", "--strategy", "sequential", "--listen", "127.0.0.1:0") as server:
            done = load(server.address, "--app", "chat", "--connections", "3", "--connect-timeout", "0.2", "--grace", "0.1",
                        "--json", "-", seconds=0.2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["starved"], 3)

    def test_an_interrupt_ends_the_load_and_keeps_what_there_is(self):
        with echo_server() as server:
            running = subprocess.Popen([CONFAB, "load", server.address, "--duration", "100000", "--warmup", "0"],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            out = Reader(running.stdout)
            out.until(r"messages/s  p50")
            running.send_signal(signal.SIGINT)
            self.assertIn("interrupted", out.until(r"It was interrupted.*\n"))
            self.assertEqual(running.wait(LIMIT_S), 0)
            running.stdout.close()


class Promises(unittest.TestCase):
    def status(self, *arguments):
        with echo_server() as server:
            done = load(server.address, "--settle", "5", "--json", "-", *arguments, seconds=1)
        self.assertIn(done.returncode, (0, 3, 4), done.stderr)
        return done.returncode, [slo["verdict"] for slo in json.loads(done.stdout)["slos"]]

    def test_a_promise_that_is_held_is_exit_0(self):
        self.assertEqual(self.status("--slo", "p50<3600s"), (0, ["held"]))

    def test_messages_that_find_no_connection_free_break_a_promise_which_is_exit_3(self):
        self.assertEqual(self.status("--connections", "1", "--rate", "10000000", "--slo", "p50<3600s"),
                         (3, ["missed"]))

    def test_too_little_to_go_by_is_exit_4(self):
        self.assertEqual(self.status("--count", "500", "--slo", "p99.99<3600s"), (4, ["too noisy to tell"]))

    def test_the_highest_rate_is_an_interval(self):
        with echo_server() as server:
            done = load(server.address, "--find-max", "--connections", "1", "--rate", "1000000", "--slo", "p50<3600s",
                        "--json", "-", seconds=0.2)
        self.assertIn(done.returncode, (0, 3, 4), done.stderr)
        found = json.loads(done.stdout)
        self.assertGreater(found["loads"], 1)
        self.assertTrue(found["missed"] is None or found["held"] < found["missed"])

    def test_a_promise_may_stand_before_the_server_and_there_may_be_several(self):
        with echo_server() as server:
            done = load("--slo=p50<3600s", "--slo", "p90<3600s", server.address, "--json", "-", seconds=1)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([slo["verdict"] for slo in json.loads(done.stdout)["slos"]], ["held", "held"])

    def test_a_search_needs_something_to_search_for(self):
        done = load("127.0.0.1:1", "--find-max")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--slo", done.stderr)


class WrongServer:
    """Hands each client's messages, and their numbers, to `answer`, which gives the bytes to send back."""

    def __init__(self, answer):
        self.answer = answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def serve(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer:
                self.serve_one(peer)

    def serve_one(self, peer):
        number = 0
        try:
            with peer.makefile("rb") as stream:
                while len(message := stream.read(SIZE)) == SIZE:
                    peer.sendall(self.answer(number, message))
                    number += 1
        except OSError:
            pass  # the load has gone


class WrongServers(unittest.TestCase):
    def faults(self, answer, *arguments):
        with WrongServer(answer) as server:
            done = load(server.address, "--connections", "1", "--size", str(SIZE), "--pipeline", "4", "--count", "100",
                        "--grace", "1", "--json", "-", *arguments)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        return {name: count for name, count in json.loads(done.stdout)["faults"].items() if count > 0}

    def test_a_message_that_is_swallowed_is_lost(self):
        self.assertEqual(self.faults(lambda number, message: b"" if number == 10 else message), {"lost": 1})

    def test_a_message_that_comes_twice_is_doubled(self):
        self.assertEqual(self.faults(lambda number, message: message * 2 if number == 10 else message), {"doubled": 1})

    def test_messages_in_another_order_are_reordered(self):
        held = []

        def swap(number, message):
            if number == 10:
                held.append(message)
                return b""
            return message + held.pop() if held else message

        self.assertEqual(self.faults(swap), {"reordered": 1})

    def test_one_wrong_bit_is_corruption(self):
        def spoil(number, message):
            return message[:-1] + bytes([message[-1] ^ 1]) if number == 10 else message

        self.assertEqual(self.faults(spoil), {"corrupted": 1})
        self.assertEqual(self.faults(spoil, "--rate", "2000"), {"corrupted": 1})

    def test_a_server_that_hangs_up_is_named(self):
        listener = socket.create_server(("127.0.0.1", 0))
        hang_up = threading.Thread(target=lambda: listener.accept()[0].close())
        hang_up.start()
        done = load("127.0.0.1:%d" % listener.getsockname()[1], "--connections", "1", "--count", "10")
        hang_up.join()
        listener.close()
        self.assertEqual(done.returncode, 1)
        self.assertIn("1 connections lost", done.stdout)
        self.assertIn("no connection was left", done.stdout)

    def test_nobody_there_is_exit_1_and_one_line(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            done = load("127.0.0.1:%d" % unused.getsockname()[1], "--count", "10")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "confab: cannot connect: Connection refused\n")


class WrongRoom:
    """A room of lines. `spoil` says which lines a member, counted from 0, really gets for one."""

    def __init__(self, spoil):
        self.spoil = spoil
        self.peers, self.lock, self.threads = [], threading.Lock(), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]

    def __enter__(self):
        self.threads.append(threading.Thread(target=self.accept))
        self.threads[0].start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.peers.append(peer)
                peer.sendall(b"* welcome\n")
            self.threads.append(threading.Thread(target=self.attend, args=(peer,)))
            self.threads[-1].start()

    def attend(self, peer):
        with peer, peer.makefile("rb") as lines:
            try:
                for line in lines:
                    self.deliver(peer, line)
            except OSError:
                pass  # the load has gone
            with self.lock:
                self.peers[self.peers.index(peer)] = None

    def deliver(self, speaker, line):
        with self.lock:
            for index, peer in enumerate(self.peers):
                if peer is not None and peer is not speaker:
                    peer.sendall(b"".join(self.spoil(index, b"[room] somebody: " + line)))


class Web:
    """A web server whose answers `answer` gives: the bytes of a whole response for the number of a request and its path."""

    def __init__(self, answer, closes=False):
        self.answer, self.closes, self.number = answer, closes, 0
        self.paths, self.threads = set(), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]

    def __enter__(self):
        self.threads.append(threading.Thread(target=self.accept))
        self.threads[0].start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            self.threads.append(threading.Thread(target=self.attend, args=(peer,)))
            self.threads[-1].start()

    def attend(self, peer):
        try:
            with peer, peer.makefile("rb") as lines:
                while line := lines.readline():
                    self.paths.add(line.split()[1].decode())
                    while lines.readline() not in (b"\r\n", b""):
                        pass
                    self.number += 1
                    peer.sendall(self.answer(self.number))
                    if self.closes:
                        return
        except OSError:
            pass  # the load has gone


def page(body, status="200 OK"):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


class Http(unittest.TestCase):
    def run_load(self, web, *arguments, path="/", seconds=LIMIT_S):
        done = load(web.url + path, "--app", "http", "--connections", "3", "--count", "100", "--grace", "1", "--json", "-",
                    *arguments, seconds=seconds)
        figures = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1 if figures["errors"] else 0, done.stderr)
        return figures, {name: count for name, count in figures["faults"].items() if count > 0}

    def test_every_answer_of_a_web_server_is_compared_with_the_first(self):
        for arguments in ([], ["--pipeline", "4"], ["--churn"], ["--rate", "1000"], ["--threads", "2"]):
            with self.subTest(arguments), Web(lambda _: page("hello")) as web:
                figures, faults = self.run_load(web, *arguments, path="/a/b?c=d")
                self.assertEqual(faults, {})
                self.assertGreaterEqual(figures["verified_bytes"], 100 * len(page("hello")))
                self.assertEqual(web.paths, {"/a/b?c=d"})

    def test_a_body_in_chunks_or_up_to_the_end_of_the_connection_is_a_body(self):
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        with Web(lambda _: chunked) as web:
            self.assertEqual(self.run_load(web)[1], {})
        with Web(lambda _: b"HTTP/1.0 200 OK\r\n\r\nhello", closes=True) as web:
            self.assertEqual(self.run_load(web, "--churn")[1], {})

    def test_another_answer_than_the_first_is_corruption_unless_any_will_do(self):
        def answer(number):
            return page("adieu" if number == 50 else "hello")

        with Web(answer) as web:
            self.assertEqual(self.run_load(web)[1], {"corrupted": 1})
        with Web(answer) as web:
            self.assertEqual(self.run_load(web, "--any-body")[1], {})

    def test_what_is_no_answer_or_an_error_is_counted(self):
        with Web(lambda number: page("no", "404 Not Found") if number == 50 else page("hello")) as web:
            self.assertEqual(self.run_load(web)[1], {"complaints": 1})
        with Web(lambda _: b"nonsense\r\n\r\n") as web:
            self.assertEqual(self.run_load(web, seconds=0.5)[1]["corrupted"], 3)

    def test_a_path_that_cannot_be_is_refused(self):
        done = load("http://127.0.0.1:1/a b", "--app", "http")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no blanks", done.stderr)


class Chat(unittest.TestCase):
    def chat(self, address, *arguments):
        done = load(address, "--app", "chat", "--grace", "2", "--json", "-", *arguments)
        return done, json.loads(done.stdout)

    def test_every_line_and_its_order_are_compared_for_everyone(self):
        with Server(CONFAB, "serve", "--app", "chat", "--listen", "127.0.0.1:0") as server:
            for arguments in (["--connections", "10"], ["--connections", "40", "--rooms", "5", "--threads", "2", "--pipeline", "4"],
                              ["--connections", "12", "--rooms", "3", "--session", "3"], ["--connections", "2", "--size", "4000"],
                              ["--connections", "10", "--rate", "2000", "--arrivals", "poisson", "--pipeline", "8"],
                              ["--connections", "9", "--burst", "64"], ["--connections", "30", "--rooms", "4", "--burst", "3"]):
                with self.subTest(arguments):
                    done, figures = self.chat(server.address, "--count", "2000", *arguments)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertEqual(figures["starved"], 0)
                    self.assertGreater(figures["messages"], 0)

    def test_slow_readers_are_no_fault_whatever_becomes_of_them(self):
        with Server(CONFAB, "serve", "--app", "chat", "--max-queued", "65536", "--listen", "127.0.0.1:0") as server:
            done, figures = self.chat(server.address, "--connections", "8", "--slow-readers", "1", "--count", "20000")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(figures["errors"], 0)

    def faults(self, spoil):
        with WrongRoom(spoil) as room:
            done, figures = self.chat(room.address, "--connections", "4", "--count", "300")
        self.assertEqual(done.returncode, int(figures["errors"] > 0), done.stderr)
        return {name: count for name, count in figures["faults"].items() if count > 0}

    def spoil_one(self, spoilt):
        """Spoils the tenth line that the third member gets."""
        heard = []

        def spoil(member, line):
            if member == 2:
                heard.append(line)
            return spoilt(line) if member == 2 and len(heard) == 10 else [line]

        return self.faults(spoil)

    def test_another_line_server_will_do(self):
        self.assertEqual(self.faults(lambda member, line: [line]), {})

    def test_a_line_that_one_member_does_not_get_is_lost(self):
        self.assertEqual(self.spoil_one(lambda line: []), {"lost": 1})

    def test_a_line_that_one_member_gets_twice_is_doubled(self):
        self.assertEqual(self.spoil_one(lambda line: [line, line]), {"doubled": 1})

    def test_a_line_that_comes_twice_does_not_stand_for_another_one(self):
        for _ in range(5):  # it did when it was among the last
            self.assertEqual(set(self.faults(lambda member, line: [line, line] if member == 2 else [line])), {"doubled"})

    def test_a_changed_line_is_corrupted(self):
        found = self.spoil_one(lambda line: [line[:-2] + b"?\n"])
        self.assertEqual(found["corrupted"], 1)

    def test_lines_in_another_order_for_one_member_are_reordered(self):
        held, heard = [], []

        def spoil(member, line):
            if member != 2:
                return [line]
            heard.append(line)
            if len(heard) == 10:
                held.append(line)
                return []
            return [line, held.pop()] if held else [line]

        self.assertEqual(self.faults(spoil), {"reordered": 1})


class AtATerminal(unittest.TestCase):
    def test_keys_change_the_rate_and_end_the_load(self):
        with echo_server() as server:
            command = [CONFAB, "load", server.address, "--rate", "1000", "--warmup", "0", "--duration", "600"]
            process_id, descriptor = pty.fork()
            if process_id == 0:
                os.execv(command[0], command)
            with os.fdopen(descriptor, "r+b", buffering=0) as terminal:
                screen = Reader(Raw(terminal))
                screen.until(r"rate +\d+ messages/s of 1000 asked")
                screen.until(r"faults +0")
                terminal.write(b"\033[A\033[A")
                screen.until(r"of 1210 asked")
                terminal.write(b"\033[B")
                screen.until(r"of 1100 asked")
                terminal.write(b"q")
                screen.until(r"It was interrupted")
                screen.until(r"\n")
                # With the terminal still there: its end would be a SIGHUP.
                self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1]), 0)


class Raw:
    """The terminal as Reader wants it."""

    def __init__(self, stream):
        self.stream = stream

    def fileno(self):
        return self.stream.fileno()

    def read1(self, size):
        return self.stream.read(size)


class WrongUsage(unittest.TestCase):
    def refused(self, *arguments):
        done = subprocess.run([CONFAB, "load", *arguments], capture_output=True, text=True, timeout=LIMIT_S, check=False,
                              env={name: value for name, value in os.environ.items() if not name.startswith("CONFAB_")})
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        return done.stderr

    def test_what_is_wrong_is_named_with_what_is_allowed(self):
        self.assertIn("--size", self.refused("127.0.0.1:1", "--size", "65521"))
        self.assertIn("--size", self.refused("127.0.0.1:1", "--size", "4194304", "--pipeline", "2"))
        self.assertIn("--threads", self.refused("127.0.0.1:1", "--threads", "3", "--connections", "2"))
        self.assertIn("--connections", self.refused("127.0.0.1:1", "--connections", "0"))
        self.assertIn("--churn", self.refused("127.0.0.1:1", "--churn", "--pipeline", "2"))
        self.assertIn("--rooms", self.refused("127.0.0.1:1", "--app", "chat", "--rooms", "26"))
        self.assertIn("--size", self.refused("127.0.0.1:1", "--app", "chat", "--size", "10"))
        self.assertRegex(self.refused("127.0.0.1:1", "--profile", "10"), r"--profile.*10:0-5000")
        self.assertIn("--profile", self.refused("127.0.0.1:1", "--profile", "1:5", "--rate", "5"))
        self.assertIn("--duration", self.refused("127.0.0.1:1", "--duration", "0"))
        self.assertRegex(self.refused("127.0.0.1:1", "--slo", "p99"), r"p99<10ms")
        self.assertRegex(self.refused("127.0.0.1:1", "--app", "tea"), r"--app.*echo")
        self.assertIn("nowhere", self.refused("nowhere"))
        self.assertTrue(re.search("URL", self.refused()))


if __name__ == "__main__":
    CONFAB = sys.argv.pop(1)
    unittest.main()
