#!/usr/bin/env python3
"""A WebSocket client that others have written gets on with the server.

Usage: websockets_test.py CONFAB STRATEGY
"""

import asyncio
import json
import pathlib
import sys
import unittest

import websockets

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from programs import LIMIT_S, Server  # noqa: E402

CONFAB = STRATEGY = None


class Websockets(unittest.IsolatedAsyncioTestCase):
    def serve(self, *flags):
        server = Server(CONFAB, "serve", "--listen", "127.0.0.1:0", "--strategy", STRATEGY, *flags)
        server.__enter__()
        self.addCleanup(server.__exit__)
        self.url = f"ws://{server.address}/ws"

    async def enter(self, nick):
        connection = await websockets.connect(self.url, subprotocols=["chat.v1"], origin=self.url.replace("ws", "http", 1)[:-3])
        self.assertEqual(connection.subprotocol, "chat.v1")
        await self.hear(connection, "welcome")
        for request in ({"type": "nick", "nick": nick}, {"type": "join", "room": "tea"}):
            await connection.send(json.dumps(request))
        await self.hear(connection, "room")
        return connection

    async def hear(self, connection, kind):
        while (message := json.loads(await connection.recv()))["type"] != kind:
            pass
        return message

    async def test_two_clients_talk_in_whole_messages_and_in_fragments(self):
        self.serve()
        await self.talk()

    async def test_they_talk_in_compressed_messages_which_the_library_offers(self):
        self.serve("--compression")
        await self.talk()

    async def talk(self):
        anna = await self.enter("anna")
        if STRATEGY != "sequential":
            bert = await self.enter("bert")
            say = json.dumps({"type": "say", "room": "tea", "text": "x" * 4000})
            await anna.send([say[:10], say[10:20], say[20:]])
            self.assertEqual(len((await self.hear(bert, "said"))["text"]), 4000)
            await bert.close()
        await asyncio.wait_for(await anna.ping(), LIMIT_S)
        await anna.close(1000, "bye")
        self.assertEqual(anna.close_code, 1000)


if __name__ == "__main__":
    CONFAB, STRATEGY = sys.argv[1:3]
    unittest.main(argv=sys.argv[:1])
