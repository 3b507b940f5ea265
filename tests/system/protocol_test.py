#!/usr/bin/env python3
"""docs/protocol.md and the server say the same, word for word: each line in the document is heard from a server, and
each line that is heard is in the document.

Usage: protocol_test.py CONFAB SOURCE_ROOT
"""

import contextlib
import pathlib
import re
import socket
import struct
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from programs import LIMIT_S, Server  # noqa: E402

CONFAB = SOURCE_ROOT = None

# Words in the document that stand for others, and what others look like.
NAMES = "NAME|NICK|ROOM|OTHER|COMMAND|nick|other|room|anna|bert|carl|guest-7|lobby|tea"
TEXTS = "TEXT|text|X|hello anna|hello|waves|bert anna|carl dora"
# Lines that only a server under stress says; bodies of this file have them, to the letter.
UNDER_STRESS = "tests/server/chat/hub_test.cpp"


def pattern(line):
    """A regular expression for lines like this one of the document."""
    parts = []
    for part in re.split(rf"(\b(?:{TEXTS})\b|\b(?:{NAMES})\b|\w+/\d+|\b(?:\d+|N) \w+|\d+)", line):
        if re.fullmatch(NAMES, part):
            parts.append(r"[^\s\[\]]+")
        elif re.fullmatch(TEXTS, part):
            parts.append(".+")
        elif re.fullmatch(r"\w+/\d+", part):
            parts.append(r"\w+/\d+")
        elif number := re.fullmatch(r"(?:\d+|N) (\w+?)s?", part):
            parts.append(rf"\d+ {number[1]}s?")
        else:
            parts.append(r"\d+" if part.isdigit() else re.escape(part))
    return "".join(parts)


def documented_lines():
    """What the document says the server says: in `code`, and in blocks of it. Kinds of lines ("* ...") are left out."""
    text = (pathlib.Path(SOURCE_ROOT) / "docs" / "protocol.md").read_text(encoding="utf-8")
    spans = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^    (.*)$", text, re.MULTILINE)
    return [span for span in dict.fromkeys(spans) if re.match(r"[*!] |\[", span) and not span.endswith("...")]


class Peer:
    """A client that keeps all it hears in `heard`, and knows when it has heard all that was on its way."""

    def __init__(self, server, heard):
        host, port = server.address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), LIMIT_S)
        self.lines = self.socket.makefile("rb")
        self.heard = heard
        self.pings = 0
        self.next_line()

    def next_line(self):
        line = self.lines.readline().decode("utf-8")
        assert line.endswith("\n"), f"the connection ended: {line!r}"
        self.heard.append(line[:-1])
        return line[:-1]

    def say(self, *lines):
        """Says these and hears until they are answered."""
        self.pings += 1
        for line in (*lines, f"/ping {self.pings}"):
            self.socket.sendall((line if isinstance(line, bytes) else line.encode()) + b"\n")
        while self.next_line() != f"* pong {self.pings}":
            pass

    def hear(self, text):
        while text not in self.next_line():
            pass

    def hear_the_end(self):
        self.heard += self.lines.read().decode("utf-8").splitlines()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.lines.close()
        self.socket.close()


class Protocol(unittest.TestCase):
    def setUp(self):
        self.heard = []

    @contextlib.contextmanager
    def chat(self, *flags):
        """Gives what makes a peer of a given name; all peers go with the server."""
        with contextlib.ExitStack() as peers, \
             Server(CONFAB, "serve", "--app", "chat", "--strategy", "epoll", "--listen", "127.0.0.1:0", *flags) as server:
            def enter(nick):
                peer = Peer(server, self.heard)
                peers.callback(peer.close)
                peer.say(f"/nick {nick}")
                return peer

            enter.server = server
            yield enter

    def converse(self):
        """A conversation in which everything happens that a sound server says."""
        with self.chat() as enter:
            anna, bert = enter("anna"), enter("bert")
            anna.say("hello", "/me waves", "/msg bert psst", "/topic", "/topic tea", "/topic", "/nick anna", "/nick ann")
            bert.say("/who", "/rooms", "/history", "/history 1", "/ping", "/help", "//path", "/join Tea", "/topic green")
            anna.say("/join tea", "/part tea", "/part", "/join lobby")
            carl = enter("carl")
            carl.say()
            carl.socket.sendall(b"/quit\n")
            carl.hear_the_end()
            dora = enter("dora")
            dora.say()
            dora.reset()
            anna.hear("dora left (connection lost)")
            for number in range(16):
                enter(f"a-name-of-a-good-length-{number}")
            anna.say("/who")
            enter.server.process.terminate()
            anna.hear_the_end()

    def be_refused(self):
        with self.chat("--max-line", "512", "--rooms-per-member", "2", "--max-rooms", "3") as enter:
            anna, bert = enter("anna"), enter("bert")
            anna.say("x" * 513, b"\xff", "a\tb", "/whisper", "/nick", "/join", "/nick " + "n" * 33, "/join " + "r" * 33,
                     "/nick a:b", "/join a:b", "/nick guest-9", "/nick bert", "/msg nobody psst", "/who nowhere",
                     "/msg", "/me", "/history many", "/topic " + "t" * 401, "/join two", "/join three", "/part three")
            bert.say("/part", "alone", "/join three", "/part two")
            enter("carl").say("/join four")

    def hit_limits(self):
        with self.chat("--rate", "1", "--burst", "3") as enter:
            # The first peer's own name and ping are lines, too.
            anna = enter("anna")
            anna.socket.sendall(b"one\ntwo\nthree\nfour\n")
            anna.hear("too fast")
        with self.chat("--idle-timeout", "1") as enter:
            anna, bert = enter("anna"), enter("bert")
            while not any("bert left (idle)" in line for line in self.heard):
                anna.say()
            bert.hear_the_end()
            anna.hear_the_end()
        with self.chat("--max-queued", "16384") as enter:
            anna, slow = enter("anna"), enter("slow")
            while not any("slow left (too slow)" in line for line in self.heard):
                anna.say(*["x" * 4000] * 20)
            slow.hear_the_end()
        with self.chat("--rooms-per-member", "600") as enter:
            enter("anna").say(*[f"/join r{number}" for number in range(501)], "/rooms")

    def test_the_document_and_the_server_say_the_same(self):
        self.converse()
        self.be_refused()
        self.hit_limits()
        stressed = (pathlib.Path(SOURCE_ROOT) / UNDER_STRESS).read_text(encoding="utf-8")
        stressed = [line for text in re.findall(r'"((?:[^"\\]|\\.)*)"', stressed) for line in text.split(r"\n")]
        documented = documented_lines()
        self.assertGreater(len(documented), 50)
        for line in documented:
            with self.subTest("is said", line=line):
                expression = re.compile(pattern(line))
                self.assertTrue(any(expression.fullmatch(each) for each in [*self.heard, *stressed]))
        expressions = [re.compile(pattern(line)) for line in documented]
        kinds = {re.sub(r"\d+", "1", line) for line in self.heard if re.match(r"[*!] ", line)}
        for line in sorted(kinds):
            # /help is documented as such: a line for each command.
            if not line.startswith("* /"):
                with self.subTest("is documented", line=line):
                    self.assertTrue(any(expression.fullmatch(line) for expression in expressions))


if __name__ == "__main__":
    CONFAB, SOURCE_ROOT = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1])
