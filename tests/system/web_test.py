#!/usr/bin/env python3
"""HTTP and WebSocket, by the real program over real sockets, and together with the line protocol.

Usage: web_test.py CONFAB STRATEGY
"""

import json
import pathlib
import re
import signal
import struct
import sys
import unittest
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from programs import LIMIT_S, Server  # noqa: E402
from websocket_client import BINARY, CLOSE, PING, PONG, TEXT, Member, WebSocket, connect, frame, handshake  # noqa: E402

CONFAB = STRATEGY = None

# A member holds a process or a thread for as long as he is there.
SIZES = {"prefork": ["--processes", "16"], "processpool": ["--processes", "16"], "threadpool": ["--threads", "16"]}


def serves_several():
    return STRATEGY != "sequential"


def travels():
    return STRATEGY == "hybrid"


def strategy_flags():
    if "=" in STRATEGY:
        return [flag for part in STRATEGY.split(",") for flag in ("--" + part.split("=")[0], part.split("=")[1])]
    return ["--strategy", STRATEGY, *SIZES.get(STRATEGY, [])]


class Answer:
    """What comes back for an HTTP request."""

    def __init__(self, stream, has_body=True):
        status = stream.readline().decode()
        assert status.startswith("HTTP/1.1 "), status
        self.status = int(status.split()[1])
        self.headers = {}
        while (line := stream.readline().decode()) != "\r\n":
            name, value = line.split(":", 1)
            self.headers[name.lower()] = value.strip()
        self.body = stream.read(int(self.headers.get("content-length", 0)) if has_body else 0).decode()


class Web(unittest.TestCase):
    def serve(self, *flags):
        server = Server(CONFAB, "serve", "--listen", "127.0.0.1:0", *strategy_flags(), *flags)
        server.__enter__()
        self.addCleanup(server.__exit__)
        return server

    def open(self, thing):
        thing.__enter__()
        self.addCleanup(thing.__exit__)
        return thing

    def member(self, server, *args, **options):
        return self.open(Member(server.address, *args, **options))

    def socket(self, server, *args, **options):
        return self.open(WebSocket(server.address, *args, **options))

    def line_member(self, server, nick):
        peer = self.open(connect(server.address))
        lines = self.open(peer.makefile("rw", encoding="utf-8", newline="\n"))
        lines.write(f"/nick {nick}\n/ping named\n")
        lines.flush()
        while lines.readline() != "* pong named\n":
            pass
        return lines

    def request(self, server, data, *, answers=1, has_body=True):
        """The answers to `data`, and whether the connection ended behind them."""
        with connect(server.address) as peer, peer.makefile("rb") as stream:
            peer.sendall(data)
            found = [Answer(stream, has_body) for _ in range(answers)]
            if found[-1].headers.get("connection") == "close":
                self.assertEqual(stream.read(), b"")
            return found

    # HTTP

    def test_requests_are_answered_in_their_order_on_one_connection(self):
        server = self.serve()
        get = f"GET /nowhere HTTP/1.1\r\nHost: {server.address}\r\n\r\n".encode()
        answers = self.request(server, get * 50, answers=50)
        self.assertEqual([answer.status for answer in answers], [404] * 50)
        self.assertEqual({answer.headers["connection"] for answer in answers}, {"keep-alive"})
        last = get.replace(b"Host", b"Connection: close\r\nHost")
        self.assertEqual([answer.headers["connection"] for answer in self.request(server, get + last, answers=2)],
                         ["keep-alive", "close"])
        [head] = self.request(server, get.replace(b"GET", b"HEAD"), has_body=False)
        self.assertEqual((head.status, head.headers["content-length"]), (404, "22"))

    def test_the_page_is_there_and_may_ask_for_its_own_files_only(self):
        server = self.serve()

        def get(target, *lines, method="GET"):
            rows = [f"{method} {target} HTTP/1.1", f"Host: {server.address}", *lines, "", ""]
            return self.request(server, "\r\n".join(rows).encode(), has_body=method != "HEAD")[0]

        page = get("/")
        self.assertEqual((page.status, page.headers["content-type"]), (200, "text/html; charset=utf-8"))
        policy = page.headers["content-security-policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("unsafe", policy)
        self.assertEqual(page.headers["x-content-type-options"], "nosniff")
        for target in set(re.findall(r'(?:src|href)="([^"]+)"', page.body)):
            with self.subTest(target=target):
                self.assertRegex(target, r"^/\w")
                file = get(target)
                self.assertEqual(file.status, 200)
                self.assertNotRegex(file.body.replace("http://www.w3.org/2000/svg", ""), "https?://")
        self.assertEqual(get("/?x=y").body, page.body)
        same = get("/", f"If-None-Match: {page.headers['etag']}")
        self.assertEqual((same.status, same.body, same.headers["etag"]), (304, "", page.headers["etag"]))
        head = get("/", method="HEAD")
        self.assertEqual(int(head.headers["content-length"]), len(page.body.encode()))
        refused = get("/", "Content-Length: 0", method="POST")
        self.assertEqual((refused.status, refused.headers["allow"]), (405, "GET, HEAD"))

    def test_a_request_that_comes_byte_by_byte_is_one(self):
        server = self.serve()
        with connect(server.address) as peer, peer.makefile("rb") as stream:
            for byte in f"GET /nowhere HTTP/1.1\r\nHost: {server.address}\r\n\r\n".encode():
                peer.sendall(bytes([byte]))
            self.assertEqual(Answer(stream).status, 404)

    def test_what_is_no_request_is_refused_and_the_connection_closed(self):
        server = self.serve()
        for status, data in [
            (400, "GET / HTTP/1.1\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (413, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n"),
            (414, "GET /" + "x" * 5000 + " HTTP/1.1\r\nHost: x\r\n\r\n"),
            (431, "GET / HTTP/1.1\r\nHost: x\r\nFiller: " + "x" * 20000 + "\r\n\r\n"),
            (431, "GET / HTTP/1.1\r\nHost: x\r\n" + "A: 1\r\n" * 200 + "\r\n"),
            (505, "GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
        ]:
            with self.subTest(data=data[:60]):
                [answer] = self.request(server, data.encode())
                self.assertEqual((answer.status, answer.headers["connection"]), (status, "close"))

    def test_what_was_said_can_be_read_page_by_page_both_ways(self):
        if not serves_several():
            self.skipTest("needs several clients")
        server = self.serve()
        anna = self.member(server, "anna", "t\u00e9e")
        for number in range(1, 11):
            anna.ask("say", room="t\u00e9e", text=f"number {number}")

        def get(query="", room="t%C3%A9e"):
            [answer] = self.request(server, f"GET /api/rooms/{room}/messages{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            return answer.status, json.loads(answer.body)

        status, everything = get()
        self.assertEqual((status, everything["room"], everything["epoch"], everything["seq"]),
                         (200, "t\u00e9e", anna.place["epoch"], 10))
        self.assertGreater(everything["messages"][0].pop("at"), 1_600_000_000_000)
        self.assertEqual(everything["messages"][0], {"type": "said", "room": "t\u00e9e", "epoch": anna.place["epoch"],
                                                     "seq": 1, "nick": "anna", "text": "number 1"})
        for query, numbers in [("?count=3", [8, 9, 10]), ("?before=8&count=3", [5, 6, 7]), ("?before=2", [1]),
                               ("?after=3&count=2", [4, 5]), ("?after=10", []), ("?after=2&before=5", [3, 4]),
                               ("?count=0", [])]:
            with self.subTest(query=query):
                self.assertEqual([each["seq"] for each in get(query)[1]["messages"]], numbers)
        self.assertEqual(get(room="nowhere"), (404, {"code": "no_such_room"}))
        self.assertEqual(get(room="%zz"), (404, {"code": "no_such_room"}))
        for query in ("?count=x", "?since=1", "?after=-1", "?count="):
            self.assertEqual(get(query), (400, {"code": "bad_query"}))

    # The handshake

    def test_a_handshake_that_is_none_is_told_what_one_is(self):
        server = self.serve()
        origin = f"Origin: http://{server.address}"
        for status, data in [
            (426, handshake(server.address, without=["Upgrade"])),
            (426, handshake(server.address, without=["Connection"])),
            (426, handshake(server.address, without=["Sec-WebSocket-Version"])),
            (426, handshake(server.address, "Sec-WebSocket-Version: 8", without=["Sec-WebSocket-Version"])),
            (400, handshake(server.address, without=["Sec-WebSocket-Key"])),
            (400, handshake(server.address, key="short")),
            (405, handshake(server.address, method="POST")),
            (403, handshake(server.address, "Origin: http://elsewhere")),
            (403, handshake(server.address, origin + ".elsewhere")),
            (400, handshake(server.address, origin, origin)),
            (404, handshake(server.address, target="/nowhere")),
        ]:
            with self.subTest(status=status, data=data):
                [answer] = self.request(server, data)
                self.assertEqual(answer.status, status)
                if status == 426:
                    self.assertEqual(answer.headers["sec-websocket-version"], "13")
                    self.assertEqual(answer.headers["upgrade"], "websocket")

    def test_a_subprotocol_is_agreed_on_only_if_it_is_ours(self):
        server = self.serve("--origin", "https://chat.example")
        for lines, agreed in [(["Sec-WebSocket-Protocol: other, chat.v1"], "chat.v1"),
                              (["Sec-WebSocket-Protocol: other"], None), ([], None)]:
            with WebSocket(server.address, *lines, "Origin: https://chat.example") as opened:
                self.assertEqual(opened.headers.get("sec-websocket-protocol"), agreed)
                self.assertEqual(opened.receive()[0], TEXT)

    def test_frames_may_follow_the_handshake_at_once(self):
        server = self.serve()
        behind = frame(TEXT, b'{"type":"ping","id":"early"}') + frame(PING, b"x")
        opened = self.socket(server, behind=behind)
        seen = [opened.receive() for _ in range(3)]
        self.assertIn((PONG, b"x"), seen)
        self.assertEqual(json.loads(seen[-1][1]), {"type": "pong", "re": "early"})

    # WebSocket

    def test_what_the_protocol_forbids_fails_the_connection_behind_what_was_answered(self):
        server = self.serve()
        for code, bad in [
            (1002, frame(TEXT, b"{}", masked=False)),
            (1002, frame(TEXT, b"{}", first=0xC0)),
            (1002, frame(3)),
            (1002, frame(PING, b"x", first=0)),
            (1002, frame(0, b"stray")),
            (1002, frame(CLOSE, b"\x03")),
            (1003, frame(BINARY, b"\x00")),
            (1007, frame(TEXT, b"\xff")),
            (1009, frame(TEXT, b"x" * 70000)[:14]),
            (1000, frame(CLOSE, struct.pack("!H", 1000) + b"bye")),
            (None, frame(CLOSE)),
        ]:
            with self.subTest(code=code, bad=bad[:8]), Member(server.address) as member:
                member.send(frame(TEXT, b'{"type":"ping"}') + bad)
                member.hear("pong")
                self.assertEqual(member.close_code(), code)

    def test_pings_are_answered_between_fragments_too(self):
        server = self.serve()
        member = self.member(server)
        half = b'{"type":"pi'
        member.send(frame(TEXT, half, first=0) + frame(PING, b"1") + frame(PING, b"2") + frame(0, b'ng"}'))
        self.assertEqual([member.receive() for _ in range(3)], [(PONG, b"1"), (PONG, b"2"), (TEXT, b'{"type":"pong"}')])

    def test_a_pong_does_not_wait_behind_data(self):
        if not serves_several():
            self.skipTest("needs several clients")
        server = self.serve("--max-queued", "50000000")
        speaker = self.member(server, room="lobby")
        slow = self.member(server, room="lobby", receive_buffer=4096)
        for number in range(3000):
            speaker.say(type="say", room="lobby", text=f"{number} " + "x" * 4000)
            if number % 50 == 49:
                speaker.ask("ping")
        slow.send(frame(PING, b"now"))
        before = 0
        while (seen := slow.receive()) != (PONG, b"now"):
            self.assertEqual(seen[0], TEXT)
            before += 1
        self.assertLess(before, 2900)

    def test_who_gives_no_sign_is_asked_for_one_and_then_dropped(self):
        server = self.serve("--idle-timeout", "1", "--first-byte-timeout", "1")
        lively = self.member(server)
        while (seen := lively.receive())[0] != PING:
            pass
        lively.send(frame(PONG, seen[1]))
        self.assertEqual(lively.receive()[0], PING)
        self.assertEqual(lively.hear("bye")["reason"], "silent")
        self.assertEqual(lively.close_code(), 4001)

    def test_the_server_says_that_it_goes(self):
        server = self.serve()
        member = self.member(server, room="lobby")
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(member.hear("bye"), {"type": "bye", "reason": "going_down"})
        self.assertEqual(member.close_code(), 1001)

    # Compression

    def test_messages_are_compressed_where_both_sides_want_it(self):
        if not serves_several():
            self.skipTest("needs several clients")
        server = self.serve("--compression")
        offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
        anna = self.member(server, "anna", "tea", extension=offer)
        bert = self.member(server, "bert", "tea", extension=offer)
        carl = self.member(server, "carl", "tea")
        self.assertEqual(bert.headers["sec-websocket-extensions"],
                         "permessage-deflate; server_no_context_takeover; client_no_context_takeover")
        self.assertNotIn("sec-websocket-extensions", carl.headers)
        for text in ("x" * 4000, "short", "y" * 4000):
            message = json.dumps({"type": "say", "room": "tea", "text": text}).encode()
            deflater = zlib.compressobj(wbits=-15)
            deflated = (deflater.compress(message) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
            anna.send(frame(TEXT, deflated, first=0xC0))
            self.assertEqual([peer.hear("said")["text"] for peer in (bert, carl)], [text, text])
        self.assertEqual((bert.compressed > 0, carl.compressed), (True, 0))
        bomb = zlib.compressobj(wbits=-15)
        anna.send(frame(TEXT, (bomb.compress(b" " * 10_000_000) + bomb.flush(zlib.Z_SYNC_FLUSH))[:-4], first=0xC0))
        self.assertEqual(anna.close_code(), 1009)
        carl.ask("say", room="tea", text="and the others go on")
        self.assertEqual(bert.hear("said")["text"], "and the others go on")

    def test_nothing_is_compressed_unless_that_was_asked_for(self):
        server = self.serve()
        member = self.member(server, extension="Sec-WebSocket-Extensions: permessage-deflate")
        self.assertNotIn("sec-websocket-extensions", member.headers)
        member.send(frame(TEXT, b"x", first=0xC0))
        self.assertEqual(member.close_code(), 1002)

    # chat.v1

    def test_every_verb_is_answered(self):
        server = self.serve()
        anna = self.member(server)
        self.assertEqual(anna.welcome["max_text"], 4096)
        self.assertEqual(anna.ask("nick", nick="anna"), {"type": "you", "re": "1", "nick": "anna"})
        place = anna.ask("join", room="tea")
        self.assertEqual({**place, "epoch": ""}, {"type": "room", "re": "2", "room": "tea", "epoch": "", "seq": 0,
                                                  "members": 1, "topic": ""})
        epoch = place["epoch"]
        self.assertEqual(anna.ask("say", room="tea", text='"hot" \\ \u00fc \U0001F375'),
                         {"type": "ack", "re": "3", "room": "tea", "epoch": epoch, "seq": 1})
        self.assertEqual(anna.ask("emote", room="tea", text="waves")["seq"], 2)
        self.assertEqual(anna.ask("topic", room="TEA", text="green")["seq"], 3)
        history = anna.ask("history", room="tea", count=2)
        self.assertEqual([(each["type"], each["seq"], each["text"]) for each in history["messages"]],
                         [("emote", 2, "waves"), ("topic", 3, "green")])
        self.assertEqual(anna.ask("history", room="tea")["messages"][0]["text"], '"hot" \\ \u00fc \U0001F375')
        self.assertEqual(anna.ask("who", room="tea")["nicks"], ["anna"])
        self.assertEqual(anna.ask("rooms")["rooms"], [{"room": "tea", "members": 1}])
        self.assertEqual(anna.ask("tell", nick="anna", text="psst")["type"], "ack")
        told = anna.hear("told")
        self.assertEqual((told["nick"], told["text"]), ("anna", "psst"))
        self.assertEqual(anna.ask("ping")["type"], "pong")
        self.assertEqual(anna.ask("part", room="tea"), {"type": "left", "re": str(anna.asked), "room": "tea"})

    def test_every_refusal_says_why(self):
        server = self.serve("--rooms-per-member", "1", "--max-rooms", "3")
        anna = self.member(server, "anna", "tea")
        for code, request in [
            ("nick_taken", None),
            ("no_such_member", {"type": "tell", "nick": "nobody", "text": "x"}),
            ("no_such_room", {"type": "who", "room": "nowhere"}),
            ("not_in_room", {"type": "say", "room": "nowhere", "text": "x"}),
            ("too_many_rooms", {"type": "join", "room": "another"}),
            ("too_long", {"type": "topic", "room": "tea", "text": "x" * 401}),
            ("too_long", {"type": "say", "room": "tea", "text": "x" * 4097}),
            ("bad_name", {"type": "nick", "nick": "a b"}),
            ("bad_name", {"type": "join", "room": ""}),
            ("bad_text", {"type": "say", "room": "tea", "text": "a\nb"}),
            ("empty", {"type": "say", "room": "tea", "text": ""}),
            ("bad_message", {"type": "whisper"}),
            ("bad_message", {"type": "join", "room": "tea", "seq": 1, "epoch": "not-one!"}),
        ]:
            with self.subTest(code=code, request=request):
                if request is None:
                    if not serves_several():
                        continue
                    bert = self.member(server)
                    self.assertEqual(bert.ask("nick", nick="ANNA")["code"], code)
                    continue
                kind = request.pop("type")
                answer = anna.ask(kind, **request)
                self.assertEqual((answer["type"], answer["code"]), ("error", code))
        for bad in ["[]", "1", "{", '{"type":1}', '{"type":"say","text":{}}', '{"type":"ping","id":"' + "i" * 65 + '"}',
                    '{"type":"who","count":-1}', '{"text":"\\ud800"}', "{}" * 2]:
            with self.subTest(bad=bad):
                anna.send(frame(TEXT, bad.encode()))
                self.assertEqual(anna.hear("error")["code"], "bad_message")
        anna.send(frame(TEXT, b'{"type":"ping","unknown":true,"other":null,"more":1.5}'))
        anna.hear("pong")

    def test_a_message_that_is_too_fast_is_dropped_and_said_so(self):
        server = self.serve("--rate", "1", "--burst", "2")
        member = self.member(server)
        answers = [member.ask("ping").get("code") for _ in range(3)]
        self.assertEqual(answers, [None, None, "too_fast"])

    def test_lines_and_messages_meet_in_the_same_room_with_the_same_numbers(self):
        if not serves_several():
            self.skipTest("needs several clients")
        server = self.serve()
        page, line = self.member(server, "page", "lobby"), self.line_member(server, "line")
        self.assertEqual(page.hear("joined")["room"], "lobby")
        self.assertEqual(page.hear("renamed")["to"], "line")
        line.write("hello page\n")
        line.flush()
        said = page.hear("said")
        self.assertEqual((said["nick"], said["text"], said["seq"]), ("line", "hello page", 1))
        self.assertEqual(page.ask("say", room="lobby", text="hello line")["seq"], 2)
        self.assertEqual(line.readline(), "[lobby] page: hello line\n")
        page.ask("tell", nick="line", text="psst")
        self.assertEqual(line.readline(), "[page -> you] psst\n")
        line.write("/msg page back\n/history\n")
        line.flush()
        told = page.hear("told")
        self.assertEqual((told["nick"], told["text"]), ("line", "back"))
        line.readline()
        self.assertEqual(line.readline(), f"* [lobby] {said['epoch']}/1 line: hello page\n")
        self.assertEqual(line.readline(), f"* [lobby] {said['epoch']}/2 page: hello line\n")

    # Coming back

    def test_who_comes_back_is_told_what_he_missed_and_what_he_cannot_be_told(self):
        if not serves_several():
            self.skipTest("needs several clients")
        server = self.serve("--history-length", "3")
        anna = self.member(server, "anna", "tea")
        epoch = anna.place["epoch"]

        def come_back(seq, known=epoch):
            with Member(server.address) as back:
                place = back.ask("join", room="tea", epoch=known, seq=seq)
                self.assertEqual(place["epoch"], epoch)
                return place["resume"], place.get("gap"), [each["seq"] for each in place["messages"]]

        self.assertEqual(come_back(0), ("recovered", None, []))  # before anything was said
        for number in range(5):
            anna.ask("say", room="tea", text=str(number))
        self.assertEqual(come_back(5), ("recovered", None, []))
        self.assertEqual(come_back(3), ("recovered", None, [4, 5]))
        self.assertEqual(come_back(3), ("recovered", None, [4, 5]))  # and again
        self.assertEqual(come_back(2), ("recovered", None, [3, 4, 5]))
        self.assertEqual(come_back(1), ("gap", {"from": 2, "to": 2}, [3, 4, 5]))
        self.assertEqual(come_back(0), ("gap", {"from": 1, "to": 2}, [3, 4, 5]))
        self.assertEqual(come_back(4, "1"), ("new_epoch", {"from": 1, "to": 2}, [3, 4, 5]))
        self.assertEqual(come_back(99), ("recovered", None, []))
        self.assertNotIn("resume", anna.ask("join", room="tea", epoch=epoch, seq=1))  # who is there misses nothing

    def test_what_is_said_again_under_the_same_name_is_said_once(self):
        server = self.serve()
        anna = self.member(server, "anna", "tea")
        first = anna.ask("say", room="tea", text="hello", once="a1")
        self.assertEqual(anna.ask("say", room="tea", text="hello", once="a2")["seq"], 2)
        anna.__exit__()
        again = self.member(server)
        self.assertEqual(again.ask("join", room="tea")["epoch"], first["epoch"])
        self.assertEqual(again.ask("say", room="tea", text="hello", once="a1")["seq"], 1)
        self.assertEqual(again.ask("say", room="tea", text="hello")["seq"], 3)
        self.assertEqual(len(again.ask("history", room="tea")["messages"]), 3)

    def test_what_is_said_while_many_come_back_is_neither_lost_nor_doubled(self):
        if not serves_several():
            self.skipTest("needs several clients")
        server = self.serve("--history-length", "1000")
        anna = self.member(server, "anna", "tea")
        bert = self.member(server, "bert", "tea")
        epoch, heard = bert.place["epoch"], []
        for number in range(100):
            anna.say(type="say", room="tea", text=str(number))
            if number % 10 == 9:
                bert.__exit__()
                bert = self.member(server)
                place = bert.ask("join", room="tea", epoch=epoch, seq=len(heard))
                self.assertEqual(place["resume"], "recovered")
                heard += [each["seq"] for each in place["messages"]]
        while len(heard) < 100:
            heard.append(bert.hear("said")["seq"])
        self.assertEqual(heard, list(range(1, 101)))

    def test_a_connection_that_moves_to_another_process_notices_nothing(self):
        if not travels():
            self.skipTest("needs connections that travel")
        server = self.serve("--compression")
        anna = self.member(server, "anna", "tea")
        bert = self.member(server, "bert", "tea", extension="Sec-WebSocket-Extensions: permessage-deflate")
        unheard = connect(server.address)
        self.addCleanup(unheard.close)
        unheard.sendall(b"GE")
        message = frame(TEXT, json.dumps({"type": "say", "room": "tea", "id": "torn", "text": "Gr\u00fc\u00dfe"},
                                         ensure_ascii=False).encode())
        for cut in (1, 5, 30, len(message) - 1):
            anna.send(message[:cut])
            server.process.send_signal(signal.SIGHUP)
            server.errors.until(r"all workers have been replaced")
            anna.send(message[cut:])
            self.assertEqual(anna.hear("ack")["re"], "torn")
            self.assertEqual(bert.hear("said")["text"], "Gr\u00fc\u00dfe")
        unheard.sendall(f"T /nowhere HTTP/1.1\r\nHost: {server.address}\r\n\r\n".encode())
        with unheard.makefile("rb") as stream:
            self.assertEqual(Answer(stream).status, 404)


if __name__ == "__main__":
    CONFAB, STRATEGY = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1])
