"""A headless Chromium, driven over its debugging protocol."""

import asyncio
import base64
import json
import pathlib
import shutil
import subprocess
import tempfile

import websockets

from programs import LIMIT_S


def program():
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """Runs until the end of its `async with`. `complaints`: what its pages have complained of."""

    async def __aenter__(self):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [program(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--remote-debugging-port=0", f"--user-data-dir={self.profile.name}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        url = await asyncio.get_running_loop().run_in_executor(None, self.read_address)
        self.errors = asyncio.get_running_loop().run_in_executor(None, self.process.stderr.read)
        self.connection = await websockets.connect(url, max_size=None)
        self.answers = {}
        self.asked = 0
        self.complaints = []
        self.listening = asyncio.create_task(self.listen())
        return self

    def read_address(self):
        for line in self.process.stderr:
            if b"DevTools listening on " in line:
                return line.split()[-1].decode()
        raise AssertionError("the browser ended")

    async def __aexit__(self, *_):
        self.listening.cancel()
        await self.connection.close()
        self.process.terminate()
        self.process.wait(LIMIT_S)
        await self.errors
        self.process.stderr.close()
        self.profile.cleanup()

    async def listen(self):
        async for text in self.connection:
            message = json.loads(text)
            if "id" in message:
                self.answers.pop(message["id"]).set_result(message)
            elif message["method"] == "Runtime.exceptionThrown":
                self.complaints.append(message["params"]["exceptionDetails"])
            elif message["method"] == "Log.entryAdded":
                self.complaints.append(message["params"]["entry"]["text"])

    async def call(self, method, session=None, **params):
        self.asked += 1
        answer = self.answers[self.asked] = asyncio.get_running_loop().create_future()
        message = {"id": self.asked, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        await self.connection.send(json.dumps(message))
        answered = await asyncio.wait_for(answer, LIMIT_S)
        assert "error" not in answered, (method, answered)
        return answered["result"]

    async def open(self, url, **size):
        """A page that shares nothing with the others."""
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = (await self.call("Target.createTarget", url="about:blank", browserContextId=context))["targetId"]
        session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Log"):
            await page.call(f"{domain}.enable")
        await page.resize(**size)
        await page.call("Page.navigate", url=url)
        return page


class Page:
    def __init__(self, browser, session):
        self.browser = browser
        self.session = session

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    async def resize(self, width=1100, height=720, mobile=False, scheme="light"):
        await self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    async def evaluate(self, expression):
        result = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, (expression, result)
        return result["result"].get("value")

    async def until(self, condition):
        """Waits until this expression of JavaScript is true; it is looked at whenever the page changes."""
        try:
            await self.evaluate(f"""new Promise((done) => {{
                const watcher = new MutationObserver(() => look());
                const look = () => {{ if ({condition}) {{ watcher.disconnect(); done(true); }} }};
                watcher.observe(document, {{subtree: true, childList: true, attributes: true, characterData: true}});
                look();
            }})""")
        except TimeoutError:
            shown = await self.evaluate("document.body.innerText")
            raise AssertionError(f"waited in vain for {condition}; the page shows {shown!r}") from None

    async def press(self, key, code=0, modifiers=0):
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code,
                            modifiers=modifiers, **(text if kind == "keyDown" else {}))

    async def type(self, text):
        await self.call("Input.insertText", text=text)
        await self.press("Enter", 13)

    async def screenshot(self, path):
        image = await self.call("Page.captureScreenshot", format="png")
        pathlib.Path(path).write_bytes(base64.b64decode(image["data"]))
