"""A WebSocket client that sends whatever a test wants, and shares no code with what is tested."""

import base64
import hashlib
import json
import os
import socket
import struct
import zlib

from programs import LIMIT_S

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def connect(address, receive_buffer=None):
    host, port = address.rsplit(":", 1)
    peer = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    peer.settimeout(LIMIT_S)
    if receive_buffer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    peer.connect((host, int(port)))
    return peer


def frame(opcode, payload=b"", *, first=0x80, masked=True):
    """`first`: FIN and the reserved bits."""
    size = len(payload)
    mask_bit = 0x80 if masked else 0
    if size < 126:
        head = struct.pack("!BB", first | opcode, mask_bit | size)
    elif size < 65536:
        head = struct.pack("!BBH", first | opcode, mask_bit | 126, size)
    else:
        head = struct.pack("!BBQ", first | opcode, mask_bit | 127, size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    pattern = (mask * (size // 4 + 1))[:size]
    return head + mask + (int.from_bytes(payload, "big") ^ int.from_bytes(pattern, "big")).to_bytes(size, "big")


def handshake(address, *lines, method="GET", target="/ws", version="HTTP/1.1", without=(), key=None):
    """The bytes of a request that opens a WebSocket, or of one that nearly does."""
    headers = {
        "Host": address,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key or base64.b64encode(os.urandom(16)).decode(),
    }
    rows = [f"{method} {target} {version}", *(f"{name}: {value}" for name, value in headers.items() if name not in without)]
    return "\r\n".join([*rows, *lines, "", ""]).encode()


class WebSocket:
    """An open WebSocket; a context manager."""

    def __init__(self, address, *lines, behind=b"", receive_buffer=None):
        self.socket = connect(address, receive_buffer)
        self.stream = self.socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(handshake(address, *lines, key=key) + behind)
        status = self.stream.readline().decode()
        assert status == "HTTP/1.1 101 Switching Protocols\r\n", status
        self.headers = {}
        self.compressed = 0  # messages that came so
        while (line := self.stream.readline().decode()) != "\r\n":
            name, value = line.split(":", 1)
            self.headers[name.lower()] = value.strip()
        wanted = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        assert self.headers["sec-websocket-accept"] == wanted

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def receive(self):
        """The next frame: its opcode and payload; (None, b"") at the end."""
        head = self.stream.read(2)
        if len(head) < 2:
            return None, b""
        compressed = head[0] & 0x70 == 0x40 and "sec-websocket-extensions" in self.headers
        assert (head[0] & 0x70 == 0 or compressed) and head[1] & 0x80 == 0, head
        size = head[1]
        if size == 126:
            size = struct.unpack("!H", self.stream.read(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self.stream.read(8))[0]
        assert head[0] & 0x80, "the server sends no fragments"
        payload = self.stream.read(size)
        if compressed:
            self.compressed += 1
            payload = zlib.decompressobj(wbits=-15).decompress(payload + b"\x00\x00\xff\xff")
        return head[0] & 0x0F, payload

    def close_code(self):
        """Reads on to the close frame, and behind it to the end; its code."""
        while True:
            opcode, payload = self.receive()
            assert opcode is not None, "the end, without a close frame"
            if opcode == CLOSE:
                assert self.stream.read() == b"", "something behind the close frame"
                return struct.unpack("!H", payload[:2])[0] if payload else None


class Member(WebSocket):
    """One who has come into the chat, with a nick, and perhaps into a room."""

    def __init__(self, address, nick=None, room=None, *, extension=None, **options):
        lines = [extension] if extension else []
        super().__init__(address, "Sec-WebSocket-Protocol: chat.v1", *lines, **options)
        self.welcome = self.hear("welcome")
        self.asked = 0
        if nick:
            self.ask("nick", nick=nick)
        if room:
            self.place = self.ask("join", room=room)

    def say(self, **message):
        self.send(frame(TEXT, json.dumps(message).encode()))

    def message(self):
        """The next message that is JSON."""
        while True:
            opcode, payload = self.receive()
            assert opcode in (TEXT, PING, PONG), (opcode, payload)
            if opcode == TEXT:
                return json.loads(payload)

    def hear(self, kind):
        """The next message of that type; others before it are skipped."""
        while (message := self.message())["type"] != kind:
            pass
        return message

    def ask(self, kind, **members):
        """The answer to this request; events before it are kept in `self.heard`."""
        self.asked += 1
        self.heard = []
        self.say(type=kind, id=str(self.asked), **members)
        while (message := self.message()).get("re") != str(self.asked):
            self.heard.append(message)
        return message
