#!/usr/bin/env python3
"""The README's program, run as its reader would: echo_test.py PROGRAM"""

import pathlib
import socket
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from programs import LIMIT_S, Server  # noqa: E402

PROGRAM = None


class Echo(unittest.TestCase):
    def test_it_echoes_and_ends_well(self):
        with Server(PROGRAM, "127.0.0.1:0") as server:
            host, port = server.address.rsplit(":", 1)
            with socket.create_connection((host, int(port)), timeout=LIMIT_S) as client:
                client.sendall(b"hello")
                client.shutdown(socket.SHUT_WR)
                received = b"".join(iter(lambda: client.recv(4096), b""))
            self.assertEqual(received, b"hello")
            self.assertEqual(server.stop(), 0)

    def test_the_readme_shows_it_word_for_word(self):
        root = pathlib.Path(__file__).resolve().parents[2]
        source = (root / "examples" / "echo.cpp").read_text(encoding="utf-8")
        self.assertIn(source, (root / "README.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
