"""Headless Chromium, driven over its DevTools protocol: pages as users, and their keyboards, meet them."""

import asyncio
import base64
import itertools
import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from testing.prerequisites import TOOL_COMMANDS
from testing.waiting import wait_until

_FLAGS = (
    "--headless=new",
    "--remote-debugging-port=0",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",  # containers have little of it
    "--disable-gpu",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
)

_KEYS = {"Enter": ("\r", 13), "Tab": ("", 9), " ": (" ", 32), "Escape": ("", 27)}
"""The text and the code of a key."""

_LONGEST_START_S = 60
_LONGEST_CALL_S = 60

Json = Mapping[str, Any]


class BrowserError(Exception):
    """The browser refused a command, or a script in the page failed."""


@dataclass(slots=True)
class _Connection:
    """The WebSocket to the browser: commands with their answers, and events by session."""

    socket: aiohttp.ClientWebSocketResponse
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))
    answers: dict[int, asyncio.Future[Json]] = field(default_factory=dict)
    listeners: dict[str, Callable[[str, Json], None]] = field(default_factory=dict)

    async def call(self, method: str, session: str | None = None, **params: object) -> Any:
        number = next(self.numbers)
        answer = self.answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        await self.socket.send_json(message)
        found = await asyncio.wait_for(answer, _LONGEST_CALL_S)
        if "error" in found:
            raise BrowserError(f"{method}: {found['error']}")
        return found["result"]

    async def listen(self) -> None:
        async for message in self.socket:
            content = message.json()
            if "id" in content:
                self.answers.pop(content["id"]).set_result(content)
            elif listener := self.listeners.get(content.get("sessionId", "")):
                listener(content["method"], content["params"])


@dataclass(slots=True)
class Page:
    """One page, in a profile of its own."""

    connection: _Connection
    session: str
    requests: list[str] = field(default_factory=list)
    """URLs of all requests."""
    problems: list[str] = field(default_factory=list)
    """Errors of the console, uncaught exceptions, and violations of the content security policy."""
    answers: dict[str, Json] = field(default_factory=dict)
    """By path: what the page gets instead of the server's answer, as the protocol describes it."""
    _answering: set[asyncio.Task[None]] = field(default_factory=set)

    async def call(self, method: str, **params: object) -> Any:
        """Send a command of the DevTools protocol."""
        return await self.connection.call(method, self.session, **params)

    async def open(self, url: str) -> None:
        """Load a page and wait until its modules have run."""
        await self.call("Page.navigate", url="about:blank")  # or a changed fragment alone would load nothing
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def evaluate(self, expression: str) -> Any:
        """Return the value of an expression; promises are awaited."""
        found = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True
        )
        if "exceptionDetails" in found:
            raise BrowserError(f"{expression}: {found['exceptionDetails']['exception'].get('description')}")
        return found["result"].get("value")

    async def until(self, condition: str, timeout_s: float = 60) -> None:
        """Wait until an expression is true."""

        async def holds() -> bool:
            return bool(await self.evaluate(f"Boolean({condition})"))

        await wait_until(holds, description=condition, timeout_s=timeout_s)

    async def text(self, selector: str = "body") -> str:
        """Return what an element shows as text."""
        return str(await self.evaluate(f"document.querySelector({selector!r}).innerText"))

    async def focus(self, selector: str) -> None:
        """Move the keyboard's focus to an element."""
        await self.evaluate(f"document.querySelector({selector!r}).focus()")

    async def press(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key."""
        text, code = _KEYS[key]
        common = {"key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        await self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **common)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    async def write(self, text: str) -> None:
        """Write a text where the focus is."""
        await self.call("Input.insertText", text=text)

    async def choose(self, selector: str, files: Sequence[Path]) -> None:
        """Choose files in a file field, as its dialog does."""
        found = await self.call("Runtime.evaluate", expression=f"document.querySelector({selector!r})")
        names = [str(path) for path in files]
        await self.call("DOM.setFileInputFiles", files=names, objectId=found["result"]["objectId"])

    async def drop(self, files: Sequence[Path], *, x: int = 200, y: int = 200) -> None:
        """Drag files from the desktop onto a point of the page."""
        data = {"items": [], "files": [str(path) for path in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            await self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    async def answer(
        self, path: str, document: object, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer the page's requests for a path in the server's place."""
        all_headers = {"content-type": "application/json"} | dict(headers or {})
        self.answers[path] = {
            "responseCode": status,
            "responseHeaders": [{"name": name, "value": value} for name, value in all_headers.items()],
            "body": base64.b64encode(json.dumps(document).encode()).decode(),
        }
        await self.call("Fetch.enable", patterns=[{"urlPattern": f"*{path}"} for path in self.answers])

    async def _answer(self, request: str, path: str) -> None:
        await self.call("Fetch.fulfillRequest", requestId=request, **self.answers[path])

    async def controls(self) -> list[tuple[str, str]]:
        """Return role and name of everything in the accessibility tree that is not ignored."""
        nodes = (await self.call("Accessibility.getFullAXTree"))["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]

    async def view(self, width: int, height: int, *, dark: bool = False, scale: float = 1, still: bool = True) -> None:
        """Set the size of the window and what the user prefers."""
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )
        features = {"prefers-color-scheme": "dark" if dark else "light"}
        if still:
            features["prefers-reduced-motion"] = "reduce"
        listed = [{"name": name, "value": value} for name, value in features.items()]
        await self.call("Emulation.setEmulatedMedia", features=listed)

    async def screenshot(self, *, height: int | None = None) -> bytes:
        """Return the page as PNG: its whole length, or what fits into a height."""
        size = (await self.call("Page.getLayoutMetrics"))["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], height or 16_000), "scale": 1}
        found = await self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        return base64.b64decode(found["data"])

    def on_event(self, method: str, params: Json) -> None:
        """Take note of requests and problems."""
        match method:
            case "Fetch.requestPaused":
                task = asyncio.create_task(self._answer(params["requestId"], urlsplit(params["request"]["url"]).path))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.problems.append(str(details.get("exception", {}).get("description", details["text"])))
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.problems.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "assert"}:
                self.problems.append(str(params["args"]))
            case "Audits.issueAdded" if params["issue"]["code"] == "ContentSecurityPolicyIssue":
                self.problems.append(str(params["issue"]["details"]["contentSecurityPolicyIssueDetails"]))


@dataclass(frozen=True, slots=True)
class Browser:
    """A running browser."""

    connection: _Connection

    @asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        """Open a page in a new profile."""
        context = (await self.connection.call("Target.createBrowserContext"))["browserContextId"]
        target = await self.connection.call("Target.createTarget", url="about:blank", browserContextId=context)
        attached = await self.connection.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self.connection, attached["sessionId"])
        self.connection.listeners[page.session] = page.on_event
        for domain in ("Page", "Runtime", "Network", "Log", "DOM", "Accessibility", "Audits"):
            await page.call(f"{domain}.enable")
        try:
            yield page
        finally:
            await self.connection.call("Target.disposeBrowserContext", browserContextId=context)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run headless Chromium with an empty profile."""
    flags = [*_FLAGS, "--no-sandbox"] if os.geteuid() == 0 else _FLAGS  # its sandbox refuses to work as root
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            TOOL_COMMANDS["chromium"],
            *flags,
            f"--user-data-dir={profile}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            address = await _address(Path(profile) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
                connection = _Connection(socket)
                listening = asyncio.create_task(connection.listen())
                yield Browser(connection)
                listening.cancel()
        finally:
            process.terminate()
            await process.wait()


async def _address(file: Path) -> str:
    """Return where the browser listens, once it has written it down."""

    def written() -> list[str]:
        return file.read_text().split("\n") if file.exists() else []

    await wait_until(lambda: len(written()) > 1, description="Chromium listens", timeout_s=_LONGEST_START_S)
    port, path = written()
    return f"ws://127.0.0.1:{port}{path}"
