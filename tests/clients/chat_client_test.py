#!/usr/bin/env python3
"""The chat client as people use it: in a pipe, and at a terminal.

Usage: chat_client_test.py CONFAB
"""

import os
import pathlib
import pty
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from programs import LIMIT_S, Reader, Server  # noqa: E402

CONFAB = None


def chat_server(address="127.0.0.1:0"):
    return Server(CONFAB, "serve", "--app", "chat", "--strategy", "epoll", "--listen", address)


class InAPipe(unittest.TestCase):
    def chat(self, *arguments, say=""):
        return subprocess.run([CONFAB, "chat", *arguments], input=say, capture_output=True, text=True, check=False,
                              timeout=LIMIT_S)

    def test_lines_in_are_said_and_lines_out_are_what_the_server_says(self):
        with chat_server() as server:
            done = self.chat(server.address, "--nick", "bot", "--room", "tea", say="/who\n/ping x")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout.startswith("* welcome"), done.stdout)
        self.assertIn("bot", done.stdout)
        self.assertTrue(done.stdout.endswith("* pong x\n"), done.stdout)
        self.assertNotIn("\033", done.stdout)

    def test_a_server_that_is_not_there_is_exit_1_and_one_line(self):
        with chat_server() as server:
            address = server.address
        done = self.chat(address)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, f"confab: cannot connect to {address}: Connection refused\n")
        self.assertEqual(done.stdout, "")

    def test_a_connection_that_is_lost_is_exit_1(self):
        with chat_server() as server:
            client = subprocess.Popen([CONFAB, "chat", server.address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE)
            Reader(client.stdout).until(r"\* welcome.*\n")
            self.assertEqual(server.stop(), 0)
            _, errors = client.communicate(timeout=LIMIT_S)
        self.assertEqual(client.returncode, 1)
        self.assertIn(b"the connection was lost", errors)


class Terminal:
    """The client at a pseudo-terminal; a context manager."""

    def __init__(self, *arguments):
        environment = os.environ | {"TERM": "xterm", "LC_ALL": "C.UTF-8"}
        environment.pop("NO_COLOR", None)
        self.process_id, descriptor = pty.fork()
        if self.process_id == 0:
            os.execve(CONFAB, [CONFAB, "chat", *arguments], environment)
        self.stream = os.fdopen(descriptor, "r+b", buffering=0)
        self.screen = Reader(self)
        self.status = None

    def fileno(self):
        return self.stream.fileno()

    def read1(self, size):
        return self.stream.read(size)

    def type(self, text):
        self.stream.write(text.encode())

    def wait(self):
        _, status = os.waitpid(self.process_id, 0)
        self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            os.kill(self.process_id, 9)
            self.wait()
        self.stream.close()


class AtATerminal(unittest.TestCase):
    def test_what_comes_in_leaves_the_line_being_typed_whole(self):
        with chat_server() as server, Terminal(server.address, "--nick", "ann") as ann:
            ann.screen.until("you are now ann")
            ann.type("half a li")
            ann.screen.until("half a li")
            bob = subprocess.run([CONFAB, "chat", server.address, "--nick", "bob"], input="hello", text=True,
                                 capture_output=True, check=True, timeout=LIMIT_S)
            self.assertEqual(bob.returncode, 0)
            shown = ann.screen.until("hello")
            self.assertIn("\r\033[J", shown)  # the typed line was taken away first
            ann.screen.until("> half a li")  # and is back
            ann.type("ne\n/history 1\n")
            ann.screen.until(r"ann.*: half a line")
            ann.type("/quit\n")
            ann.screen.until("goodbye")
            self.assertEqual(ann.wait(), 0)

    def test_arrow_up_brings_back_what_was_typed(self):
        with chat_server() as server, Terminal(server.address) as ann:
            ann.screen.until("welcome")
            ann.type("/ping one\n")
            ann.screen.until("pong one")
            ann.type("\033[A")
            ann.screen.until("/ping one")
            ann.type("\n")
            ann.screen.until("pong one")
            ann.type("\x04")
            self.assertEqual(ann.wait(), 0)

    def test_nicks_have_colours(self):
        with chat_server() as server, Terminal(server.address) as ann:
            ann.screen.until("welcome")
            subprocess.run([CONFAB, "chat", server.address, "--nick", "bob"], input="hello", text=True,
                           capture_output=True, check=True, timeout=LIMIT_S)
            ann.screen.until("\033\\[\\d+mbob\033\\[0m: hello")

    def test_a_lost_connection_is_said_and_made_again_with_nick_and_rooms(self):
        with chat_server() as server, Terminal(server.address, "--nick", "ann", "--room", "tea") as ann:
            ann.screen.until("you are now ann")
            self.assertEqual(server.stop(), 0)
            ann.screen.until("the connection is lost")
            with chat_server(server.address):
                ann.screen.until("connected again")
                ann.screen.until("you are now ann")
                ann.type("/who\n")
                ann.screen.until("tea.*ann")


if __name__ == "__main__":
    CONFAB = sys.argv.pop(1)
    unittest.main()
