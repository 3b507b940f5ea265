#!/usr/bin/env python3
"""The chat page, in a headless browser, with people in `nc` in the same rooms.

Usage: page_test.py CONFAB STRATEGY [FOLDER]: with a folder, pictures of the page are left there.
"""

import asyncio
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import browser  # noqa: E402
from programs import LIMIT_S, Server  # noqa: E402

CONFAB = STRATEGY = PICTURES = None

# What the lines say, without their times.
MESSAGES = ("[...document.querySelectorAll('#messages li')].map((line) => "
            "[...line.childNodes].filter((node) => node.tagName !== 'TIME').map((node) => node.textContent).join('')"
            ".replace(/\\s+/g, ' ').trim())")


class Wire:
    """Stands between pages and a server, and can be cut."""

    async def __aenter__(self):
        self.server = None
        self.deaf = False
        self.open = set()
        self.listener = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.address = "127.0.0.1:%d" % self.listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.listener.close()
        self.cut()

    async def serve(self, reader, writer):
        try:
            host, port = self.server.rsplit(":", 1)
            there, back = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        self.open |= {writer, back}
        await asyncio.gather(self.carry(reader, back, False), self.carry(there, writer, True), return_exceptions=True)
        self.open -= {writer, back}

    async def carry(self, source, target, to_page):
        while data := await source.read(65536):
            if not (self.deaf and to_page):
                target.write(data)
                await target.drain()
        target.close()

    def cut(self):
        for writer in self.open:
            writer.transport.abort()
        self.deaf = False


class LineMember:
    """Somebody in the line protocol, in a room."""

    async def enter(self, address, nick, room):
        host, port = address.rsplit(":", 1)
        self.reader, self.writer = await asyncio.open_connection(host, int(port))
        self.say(f"/nick {nick}", f"/join {room}", "/part lobby", "/ping in")
        await self.hear("* pong in")

    def say(self, *lines):
        for line in lines:
            self.writer.write((line + "\n").encode())

    async def hear(self, text):
        heard = []
        while not heard or text not in heard[-1]:
            line = await asyncio.wait_for(self.reader.readline(), LIMIT_S)
            assert line, f"the end, before {text!r}: {heard}"
            heard.append(line.decode().rstrip("\n"))
        return heard


class ChatPage(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        asyncio.get_running_loop().set_debug(False)  # a browser is slow, and that is no news
        self.wire = await self.enterAsync(Wire())
        self.server = self.start()
        self.browser = await self.enterAsync(browser.Browser())

    async def enterAsync(self, context):
        entered = await context.__aenter__()
        self.addAsyncCleanup(context.__aexit__)
        return entered

    def start(self):
        server = Server(CONFAB, "serve", "--listen", "127.0.0.1:0", "--strategy", STRATEGY)
        server.__enter__()
        self.addCleanup(server.__exit__)
        self.wire.server = server.address
        return server

    async def page(self, nick, room="tea", **size):
        page = await self.browser.open(f"http://{self.wire.address}/#{room}", **size)
        await page.until("document.querySelector('#state')?.textContent === 'connected' && "
                         "document.querySelector('#show-members').textContent.endsWith('here')")
        await page.evaluate("document.querySelector('#nick').focus(); document.querySelector('#nick').select()")
        await page.type(nick)
        await page.until(f"document.querySelector('#nick').value === {nick!r}")
        await page.evaluate("document.querySelector('#text').focus()")
        return page

    async def in_nc(self, nick):
        member = LineMember()
        await member.enter(self.wire.server, nick, "tea")
        self.addCleanup(member.writer.close)
        return member

    async def messages(self, page):
        return await page.evaluate(MESSAGES)

    async def shows(self, page, text, times=1):
        await page.until(f"{MESSAGES}.filter((line) => line.endsWith({text!r})).length === {times}")

    async def picture(self, page, name):
        if PICTURES:
            await page.screenshot(pathlib.Path(PICTURES) / f"{name}.png")

    async def test_two_pages_and_a_person_in_nc_talk_and_nothing_is_taken_for_markup(self):
        anna, bert = await self.page("anna"), await self.page("bert")
        carl = await self.in_nc("carl")
        evil = "<img src=x onerror=alert(1)><b>bold</b>"
        await anna.type(evil)
        await carl.hear(f"[tea] anna: {evil}")
        await self.shows(bert, evil)
        self.assertEqual(await bert.evaluate("document.querySelectorAll('#messages img, #messages b').length"), 0)
        for page in (anna, bert):
            await page.until("[...document.querySelectorAll('#nicks li')].map((each) => each.textContent).join() === "
                             "'anna,bert,carl'")
        await bert.type("/me waves")
        await carl.hear("[tea] * bert waves")
        carl.say("hello pages", "/topic green tea")
        for page in (anna, bert):
            await self.shows(page, "hello pages")
            await page.until("document.querySelector('#topic').textContent === 'green tea'")
        await anna.type("/msg carl psst")
        await carl.hear("[anna -> you] psst")
        carl.say("/msg bert knock knock")
        await bert.until("document.querySelector('#people .count')?.textContent === '1'")
        await bert.press("ArrowDown", 40, modifiers=1)
        await self.shows(bert, "knock knock")
        await bert.until("document.querySelector('#people .count') === null")
        self.assertEqual(self.browser.complaints, [])

    async def test_history_is_there_for_who_comes_later_and_more_of_it_by_scrolling_up(self):
        carl = await self.in_nc("carl")
        carl.say(*[f"line {number}" for number in range(90)], "/ping said")
        await carl.hear("* pong said")
        anna = await self.page("anna")
        await self.shows(anna, "line 89")
        await self.shows(anna, "line 39", times=0)
        await anna.evaluate("document.querySelector('#log').scrollTo({top: 0, behavior: 'instant'})")
        await self.shows(anna, "line 0")
        said = [line for line in await self.messages(anna) if "line" in line]
        self.assertEqual(said, [f"carl line {number}" for number in range(90)])

    async def test_what_is_said_elsewhere_is_marked_as_unread(self):
        anna = await self.page("anna")
        await anna.type("/join water")
        await anna.until("document.querySelector('#title').textContent === '#water'")
        carl = await self.in_nc("carl")
        carl.say("one", "two")
        await anna.until("document.querySelector('#rooms .count')?.textContent === '2'")
        self.assertTrue((await anna.evaluate("document.title")).startswith("(2)"))
        await anna.press("ArrowUp", 38, modifiers=1)
        await self.shows(anna, "two")
        await anna.until("document.querySelector('.unread-from') !== null && document.querySelector('.count') === null")

    async def test_a_connection_that_is_cut_loses_nothing_and_doubles_nothing(self):
        anna, bert = await self.page("anna"), await self.page("bert")
        carl = await self.in_nc("carl")
        await anna.type("before")
        await self.shows(bert, "before")
        self.wire.deaf = True  # what is said arrives, and its acknowledgement does not
        await anna.type("unacknowledged")
        await carl.hear("anna: unacknowledged")
        carl.say("while you were away", "/ping said")
        await carl.hear("* pong said")
        self.wire.cut()
        for page in (anna, bert):
            for text in ("before", "unacknowledged", "while you were away"):
                await self.shows(page, text)
        await anna.until("document.querySelector('.waiting') === null")
        await bert.type("after")
        await self.shows(anna, "after")

    async def test_a_server_that_is_killed_and_started_again_costs_no_line(self):
        anna, bert = await self.page("anna"), await self.page("bert")
        await anna.type("before")
        await self.shows(bert, "before")
        self.server.process.kill()
        self.server.process.wait(LIMIT_S)
        for page in (anna, bert):
            await page.until("document.querySelector('#state').textContent.startsWith('offline')")
        await anna.type("said into the void")
        await anna.until("document.querySelector('.waiting') !== null")
        self.start()
        for page in (anna, bert):
            await page.until("document.querySelector('#state').textContent === 'connected'")
            await self.shows(page, "before")
        carl = await self.in_nc("carl")
        carl.say("back again")
        for page in (anna, bert):
            await self.shows(page, "back again")
        await anna.until("document.querySelector('.waiting') === null")
        carl.say("/history", "/ping end")
        history = await carl.hear("* pong end")
        # Only what is remembered: he may have heard it said, too.
        remembered = [line for line in history if line.startswith("* ")]
        self.assertEqual(len([line for line in remembered if line.endswith("anna: said into the void")]), 1)
        for page in (anna, bert):
            await self.shows(page, "said into the void")

    async def test_it_fits_a_phone_and_the_dark(self):
        carl = await self.in_nc("carl")
        page = await self.page("anna")
        carl.say("Good morning!", "Has anybody tried the new oolong? It came yesterday, and it smells of wet stones.",
                 "/me puts the kettle on", "/topic leaves, kettles and patience")
        await page.type("Not yet, keep me a cup.")
        await page.type("/join water")
        carl.say("Of course.", "/msg anna two cups, if you like")
        await page.until("document.querySelector('#people .count') !== null")
        await page.press("ArrowUp", 38, modifiers=1)
        await self.shows(page, "Of course.")
        await self.picture(page, "wide-light")
        await page.resize(scheme="dark")
        await self.picture(page, "wide-dark")
        for scheme in ("light", "dark"):
            await page.resize(390, 780, mobile=True, scheme=scheme)
            await page.evaluate("document.querySelector('#members').classList.remove('shown')")
            self.assertLessEqual(await page.evaluate("document.documentElement.scrollWidth"), 390)
            await self.picture(page, f"phone-{scheme}")
        await page.evaluate("document.querySelector('#show-places').click()")
        await page.until("getComputedStyle(document.querySelector('#places')).display !== 'none'")
        await self.picture(page, "phone-places")
        self.assertEqual(self.browser.complaints, [])


if __name__ == "__main__":
    CONFAB, STRATEGY, *rest = sys.argv[1:4]
    PICTURES = rest[0] if rest else None
    if browser.program() is None:
        print("there is no chromium to look at the page with", file=sys.stderr)
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
