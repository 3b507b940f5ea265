#!/usr/bin/env python3
"""Replaces the program under a server that runs: SIGUSR2, with clients who must not notice.

Usage: upgrade_test.py PROGRAM
"""

import contextlib
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

PATIENCE = 30  # seconds; only a fault waits so long
SEVERAL = [
    ["--strategy", "fork"],
    ["--strategy", "prefork"],
    ["--strategy", "processpool"],
    ["--strategy", "hybrid"],
    ["--processes", "2", "--waiting", "uring"],
    ["--processes", "2", "--threads", "each", "--waiting", "blocking"],
]
ONE = [["--strategy", "sequential"], ["--strategy", "thread"], ["--strategy", "epoll"], ["--strategy", "percore"]]


class Client:
    def __init__(self, address):
        self.socket = socket.create_connection(address, PATIENCE)

    def echo(self, text=b"hello"):
        self.socket.sendall(text)
        answer = self.socket.recv(len(text), socket.MSG_WAITALL)
        assert answer == text, f"{answer!r} for {text!r}"

    def expect_end(self):
        """The server closes in order."""
        assert self.socket.recv(1) == b""


class Server:
    """A server of a program of its own, which can be replaced; and whoever takes over from it."""

    program = None

    def __init__(self, folder, *options):
        self.path = pathlib.Path(folder) / "server"
        self.install(Server.program)
        self.lines = []
        self.read = 0
        self.more = threading.Condition()
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CONFAB_")}
        listen = [] if "--listen" in options else ["--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen([self.path, "serve", "--app", "echo", *listen, *options], env=environment,
                                        stderr=subprocess.PIPE, text=True)
        self.successors = []
        self.reader = threading.Thread(target=self.hear)
        self.reader.start()
        line = self.wait_for("listening on ")
        found = re.match(r"listening on 127\.0\.0\.1:(\d+) ", line)
        self.address = ("127.0.0.1", int(found[1])) if found else None

    def install(self, program):
        """Puts another program in the place of this one, as a package manager would: by a rename."""
        fresh = self.path.with_suffix(".new")
        shutil.copy(program, fresh)
        fresh.chmod(0o755)
        fresh.rename(self.path)

    def install_script(self, text):
        script = self.path.with_suffix(".script")
        script.write_text("#!/bin/sh\n" + text)
        self.install(script)

    def hear(self):
        for line in self.process.stderr:
            with self.more:
                self.lines.append(line.rstrip("\n"))
                self.more.notify_all()
        with self.more:
            self.lines.append(None)
            self.more.notify_all()

    def wait_for(self, piece):
        """The next line that holds it."""
        with self.more:
            while True:
                assert self.more.wait_for(lambda: self.read < len(self.lines), PATIENCE), f"it never says: {piece}"
                line = self.lines[self.read]
                assert line is not None, f"it ended without saying: {piece}\n" + "\n".join(self.lines[:-1])
                self.read += 1
                if piece in line:
                    return line

    def upgrade(self):
        """Asks for a successor: its number."""
        self.process.send_signal(signal.SIGUSR2)
        pid = int(re.search(r"process (\d+) starts", self.wait_for("SIGUSR2: process"))[1])
        try:
            self.successors.append((pid, os.pidfd_open(pid)))
        except ProcessLookupError:
            pass  # it could not begin, and is gone already
        return pid

    def expect_end(self, handle):
        assert select.select([handle], [], [], PATIENCE)[0], "it does not end"

    def stop(self):
        """Asks whoever serves to end."""
        if self.successors:
            pid, handle = self.successors[-1]
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            self.expect_end(handle)
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0

    def close(self):
        for _, handle in self.successors:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()


class UpgradeTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    @contextlib.contextmanager
    def server(self, *options):
        server = Server(self.folder, *options)
        try:
            yield server
        finally:
            server.close()

    def test_clients_of_both_generations_are_served_and_none_is_refused(self):
        for strategy in SEVERAL:
            with self.subTest(strategy=strategy), self.server(*strategy) as server:
                old = Client(server.address)
                old.echo()
                server.upgrade()
                # Until it has happened and after it: nobody who comes is turned away.
                while not any("serves from here on" in (line or "") for line in list(server.lines)):
                    Client(server.address).echo()
                server.wait_for("serves from here on")
                new = [Client(server.address) for _ in range(5)]
                for client in [*new, old]:
                    client.echo()
                # The last connection of the old one is its end. (It may have had some of the new ones, too.)
                for client in [*new, old]:
                    client.socket.shutdown(socket.SHUT_WR)
                    client.expect_end()
                self.assertEqual(server.process.wait(PATIENCE), 0)
                Client(server.address).echo()
                server.stop()

    def test_who_stays_with_the_old_one_is_closed_in_order_when_its_time_is_over(self):
        for strategy in SEVERAL:
            with self.subTest(strategy=strategy), self.server(*strategy, "--retire-timeout", "0") as server:
                old = Client(server.address)
                old.echo()
                server.upgrade()
                server.wait_for("serves from here on")
                old.expect_end()
                self.assertEqual(server.process.wait(PATIENCE), 0)
                server.stop()

    def test_one_upgrade_can_follow_another(self):
        with self.server("--strategy", "hybrid", "--retire-timeout", "0") as server:
            server.upgrade()
            server.wait_for("serves from here on")
            self.assertEqual(server.process.wait(PATIENCE), 0)
            Client(server.address).echo()
            signal.pidfd_send_signal(server.successors[-1][1], signal.SIGUSR2)
            pid = int(re.search(r"process (\d+) starts", server.wait_for("SIGUSR2: process"))[1])
            server.successors.append((pid, os.pidfd_open(pid)))
            server.wait_for("serves from here on")
            server.expect_end(server.successors[0][1])
            Client(server.address).echo()
            server.stop()

    def test_a_program_that_cannot_begin_changes_nothing(self):
        for strategy in SEVERAL:
            with self.subTest(strategy=strategy), self.server(*strategy) as server:
                old = Client(server.address)
                old.echo()
                server.install_script("exit 2\n")
                server.upgrade()
                server.wait_for("the new program ended with status 2: this one stays")
                old.echo()
                Client(server.address).echo()
                # And when it is mended, it is as if nothing had been.
                server.install(Server.program)
                server.upgrade()
                server.wait_for("serves from here on")
                Client(server.address).echo()
                old.echo()
                old.socket.close()
                server.stop()

    def test_a_program_that_is_no_program_changes_nothing(self):
        with self.server("--strategy", "hybrid") as server:
            server.path.unlink()
            server.upgrade()
            server.wait_for("this one stays")
            Client(server.address).echo()
            server.successors.clear()
            server.stop()

    def test_a_program_that_is_never_ready_is_killed_and_changes_nothing(self):
        with self.server("--strategy", "hybrid", "--upgrade-timeout", "0.2") as server:
            old = Client(server.address)
            server.install_script("exec sleep 1000\n")
            server.upgrade()
            server.wait_for("is not ready in time")
            server.wait_for("this one stays")
            old.echo()
            Client(server.address).echo()
            server.successors.clear()
            server.stop()

    def test_a_second_signal_is_refused_while_a_program_is_starting(self):
        with self.server("--strategy", "hybrid") as server:
            server.install_script("exec sleep 1000\n")
            server.upgrade()
            server.process.send_signal(signal.SIGUSR2)
            server.wait_for("is starting already")
            # The end of the server is the end of what was to follow it.
            server.process.terminate()
            server.expect_end(server.successors[0][1])
            self.assertEqual(server.process.wait(PATIENCE), 0)

    def test_a_program_that_was_to_follow_one_that_is_killed_ends_with_it(self):
        with self.server("--strategy", "hybrid") as server:
            server.install_script("exec sleep 1000\n")
            server.upgrade()
            server.process.kill()
            server.expect_end(server.successors[0][1])

    def test_the_pidfile_is_handed_on(self):
        path = pathlib.Path(self.folder) / "pid"
        with self.server("--strategy", "hybrid", "--pidfile", str(path)) as server:
            self.assertEqual(path.read_text(), f"{server.process.pid}\n")
            pid = server.upgrade()
            server.wait_for("listening on ")
            self.assertEqual(path.read_text(), f"{pid}\n")
            server.stop()
            self.assertFalse(path.exists())

    def test_the_file_of_a_unix_socket_is_handed_on(self):
        path = pathlib.Path(self.folder) / "socket"
        with self.server("--strategy", "hybrid", "--listen", f"unix:{path}") as server:
            server.upgrade()
            server.wait_for("listening on ")
            self.assertEqual(server.process.wait(PATIENCE), 0)
            self.assertTrue(path.exists())
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.sendall(b"hello")
                self.assertEqual(client.recv(5, socket.MSG_WAITALL), b"hello")
            server.stop()
            self.assertFalse(path.exists())

    def test_the_service_manager_is_told_who_serves(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ears:
            ears.bind(str(pathlib.Path(self.folder) / "notify"))
            ears.settimeout(PATIENCE)
            os.environ["NOTIFY_SOCKET"] = ears.getsockname()
            self.addCleanup(os.environ.pop, "NOTIFY_SOCKET")
            with self.server("--strategy", "prefork") as server:
                self.assertEqual(ears.recv(4096), b"READY=1")
                pid = server.upgrade()
                self.assertEqual(ears.recv(4096).decode(), f"MAINPID={pid}")
                self.assertEqual(ears.recv(4096), b"READY=1")
                server.stop()
                self.assertEqual(ears.recv(4096), b"STOPPING=1")

    def test_one_process_refuses_and_serves_on(self):
        for strategy in ONE:
            with self.subTest(strategy=strategy), self.server(*strategy) as server:
                client = Client(server.address)
                server.process.send_signal(signal.SIGUSR2)
                server.wait_for("SIGUSR2 is refused")
                client.echo()
                client.socket.close()
                server.stop()


if __name__ == "__main__":
    Server.program = sys.argv.pop(1)
    unittest.main(warnings="ignore")  # sockets may close when they are forgotten
