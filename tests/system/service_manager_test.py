#!/usr/bin/env python3
"""Plays the service manager of systemd: passes sockets, and hears what the server says of itself. And has the units
read by systemd itself, where it is installed.

Usage: service_manager_test.py PROGRAM
"""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

PATIENCE = 20  # seconds; only a fault waits so long
UNITS = pathlib.Path(__file__).parents[2] / "cli"
STRATEGIES = ["epoll", "percore", "thread", "fork", "prefork", "processpool", "hybrid"]


class Manager:
    """Starts the server as a service, and hears it."""

    program = None

    def __init__(self, folder, abstract=False):
        name = f"confab-test-{os.getpid()}" if abstract else str(pathlib.Path(folder) / "notify")
        self.address = "@" + name if abstract else name
        self.ears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ears.bind("\0" + name if abstract else name)
        self.ears.settimeout(PATIENCE)

    @contextlib.contextmanager
    def service(self, strategy, *options, passed=None, environment=None):
        """The running server, after READY=1. Afterwards it is asked to end, and must."""
        variables = {key: value for key, value in os.environ.items() if not key.startswith("CONFAB_")}
        variables |= {"NOTIFY_SOCKET": self.address} | (environment or {})
        # Only the process itself knows its number, which the variables have to name.
        pid = "LISTEN_PID=$$ LISTEN_FDS=1" if passed is not None else ""
        redirection = f"3<&{passed.fileno()}" if passed is not None else ""
        script = f'{pid} WATCHDOG_PID=$$ exec "$0" "$@" {redirection}'
        arguments = [self.program, "serve", "--app", "echo", "--strategy", strategy, *options]
        with subprocess.Popen(["bash", "-c", script, *arguments], env=variables, stderr=subprocess.PIPE, text=True,
                              pass_fds=[passed.fileno()] if passed is not None else []) as process:
            try:
                self.hear("READY=1")
                yield process
                process.send_signal(signal.SIGTERM)
                self.hear("STOPPING=1")
                assert process.wait(PATIENCE) == 0
            finally:
                process.kill()

    def hear(self, wanted):
        """The next message that begins so; beats in between are as it should be."""
        while True:
            message = self.ears.recv(4096).decode()
            if message.startswith(wanted):
                return message
            assert message == "WATCHDOG=1", message


def echo(address):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE)
        client.connect(address)
        client.sendall(b"hello")
        assert client.recv(5, socket.MSG_WAITALL) == b"hello"


class ServiceManagerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def manager(self, abstract=False):
        manager = Manager(self.folder, abstract)
        self.addCleanup(manager.ears.close)
        return manager

    def test_it_says_when_it_is_ready_and_when_it_stops(self):
        manager = self.manager()
        for strategy in STRATEGIES:
            with self.subTest(strategy=strategy), manager.service(strategy, "--listen", "127.0.0.1:0"):
                pass

    def test_an_abstract_address_is_as_good(self):
        with self.manager(abstract=True).service("epoll", "--listen", "127.0.0.1:0"):
            pass

    def test_a_socket_that_is_passed_is_served_instead_of_listen(self):
        manager = self.manager()
        for strategy in STRATEGIES:
            with self.subTest(strategy=strategy), socket.create_server(("127.0.0.1", 0)) as listener:
                address = listener.getsockname()
                # An address that could not be listened on: it must not be tried.
                with manager.service(strategy, "--listen", "192.0.2.1:1", passed=listener):
                    echo(address)

    def test_the_file_of_a_unix_socket_that_is_passed_stays(self):
        path = str(pathlib.Path(self.folder) / "socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            listener.listen()
            manager = self.manager()
            for strategy in STRATEGIES:
                with self.subTest(strategy=strategy), manager.service(strategy, passed=listener):
                    echo(path)
                self.assertTrue(os.path.exists(path))

    def test_it_beats_as_long_as_that_is_awaited(self):
        manager = self.manager()
        beats = {"WATCHDOG_USEC": "100000"}
        for strategy in STRATEGIES:
            listen = ["--listen", "127.0.0.1:0"]
            with self.subTest(strategy=strategy), manager.service(strategy, *listen, environment=beats):
                for _ in range(3):
                    self.assertEqual(manager.ears.recv(4096), b"WATCHDOG=1")

    def test_it_says_when_it_reloads_and_when_it_has(self):
        manager = self.manager()
        for strategy in ("prefork", "processpool", "hybrid"):
            with self.subTest(strategy=strategy), manager.service(strategy, "--listen", "127.0.0.1:0") as process:
                process.send_signal(signal.SIGHUP)
                self.assertIn("MONOTONIC_USEC=", manager.hear("RELOADING=1"))
                manager.hear("READY=1")

    def test_a_descriptor_that_is_no_listener_ends_the_start(self):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
            script = f'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" serve --app echo 3<&{stream.fileno()}'
            done = subprocess.run(["bash", "-c", script, Manager.program], capture_output=True, text=True, check=False,
                                  pass_fds=[stream.fileno()], timeout=PATIENCE)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "confab: descriptor 3 that was passed is no listening stream socket\n")


class UnitTest(unittest.TestCase):
    """The unit files, read by systemd itself."""

    def setUp(self):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("no systemd-analyze: nobody here can verify units")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        # As they are installed, with a program where the unit says that it is.
        program = self.folder / "confab"
        program.symlink_to(pathlib.Path(Manager.program).resolve())
        self.service = (UNITS / "confab.service.in").read_text().replace("@bindir@", str(self.folder))
        self.socket = (UNITS / "confab.socket").read_text()

    def complaints(self):
        """What systemd says of the units; what it may say of others on this machine is not ours."""
        units = [self.folder / "confab.service", self.folder / "confab.socket"]
        for unit, text in zip(units, [self.service, self.socket], strict=True):
            unit.write_text(text)
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True,
                              check=False, timeout=PATIENCE)
        return [line for line in done.stderr.splitlines() if "confab" in line]

    def test_systemd_has_nothing_to_say_against_them(self):
        self.assertEqual(self.complaints(), [])

    def test_it_would_say_so_of_a_setting_that_does_not_exist_and_of_a_program_that_is_not_there(self):
        self.service = self.service.replace("WatchdogSec", "WatchdogSecs")
        self.socket = self.socket.replace("NoDelay", "NoDelays")
        (self.folder / "confab").unlink()
        complaints = self.complaints()
        for wrong in ("WatchdogSecs", "NoDelays", "is not executable"):
            with self.subTest(wrong=wrong):
                self.assertTrue(any(wrong in line for line in complaints), complaints)


if __name__ == "__main__":
    Manager.program = sys.argv.pop(1)
    unittest.main()
