#!/usr/bin/env python3
"""What an idle member of the chat costs its server in memory, kernel's not counted.

Usage: memory_test.py CONFAB
"""

import pathlib
import resource
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from programs import Server  # noqa: E402
from websocket_client import Member, connect  # noqa: E402

CONFAB = None
FIRST, MORE = 300, 3000  # the first ones pay for what is needed anyway


def line_member(address):
    peer = connect(address)
    peer.sendall(b"\n/ping in\n")
    heard = b""
    while b"* pong in\n" not in heard:
        heard += peer.recv(4096)
    return peer


def websocket_member(address):
    member = Member(address, room="lobby")
    member.stream.close()  # the socket stays open
    return member.socket


class Memory(unittest.TestCase):
    def cost(self, enter):
        """Bytes a member, in one room, under one reactor."""
        with Server(CONFAB, "serve", "--listen", "127.0.0.1:0", "--strategy", "epoll", "--announced-members", "0") as server:
            peers = [enter(server.address) for _ in range(FIRST)]
            before = self.resident(server)
            peers += [enter(server.address) for _ in range(MORE)]
            cost = (self.resident(server) - before) / MORE
            for peer in peers:
                peer.close()
        return cost

    def resident(self, server):
        text = pathlib.Path(f"/proc/{server.process.pid}/smaps_rollup").read_text(encoding="ascii")
        return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))

    def test_a_member_in_the_line_protocol_costs_a_kibibyte_at_most(self):
        self.assertLessEqual(self.cost(line_member), 1024)

    def test_a_member_on_a_websocket_costs_a_kibibyte_and_a_half_at_most(self):
        self.assertLessEqual(self.cost(websocket_member), 1536)


if __name__ == "__main__":
    CONFAB = sys.argv[1]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    unittest.main(argv=sys.argv[:1])
