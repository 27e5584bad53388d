"""A real web server on this machine that can also misbehave, and knows who connected."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

# For handlers that are meant never to end; 0 would mean no limit.
SHUTDOWN_S = 0.01


@dataclass
class LocalServer:
    """What a test sees of the server."""

    port: int
    host: str
    connections: int = 0
    """Accepted so far, whatever was said on them."""
    requests: list[web.BaseRequest] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a client left before its answer was complete."""

    @property
    def url(self) -> str:
        """Without a slash at the end."""
        return f"http://{self.host}:{self.port}"


@asynccontextmanager
async def serving(
    handler: Handler, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[LocalServer]:
    """Serve on one address until the block ends."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        seen.requests.append(request)
        try:
            return await handler(request)
        except (ConnectionError, asyncio.CancelledError):
            seen.hung_up.set()
            raise

    server = web.Server(answer, handler_cancellation=True)

    def accept() -> asyncio.Protocol:
        seen.connections += 1
        return server()

    listening = await asyncio.get_running_loop().create_server(accept, host, port, ssl=tls)
    seen = LocalServer(listening.sockets[0].getsockname()[1], host)
    try:
        yield seen
    finally:
        listening.close()
        await server.shutdown(timeout=SHUTDOWN_S)
        await listening.wait_closed()


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[LocalServer]:
    """Follow a script on each connection, below HTTP, and close it at its end."""
    open_now: set[asyncio.StreamWriter] = set()

    async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        open_now.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await script(reader, writer)
        writer.close()

    listening = await asyncio.start_server(follow, "127.0.0.1", 0)
    seen = LocalServer(listening.sockets[0].getsockname()[1], "127.0.0.1")
    try:
        yield seen
    finally:
        listening.close()
        for writer in open_now:
            writer.transport.abort()


async def request_head(reader: asyncio.StreamReader) -> bytes:
    """Return the next request of a connection; they have no bodies."""
    return await reader.readuntil(b"\r\n\r\n")


def body(data: bytes, **headers: str) -> Handler:
    """Answer 200 with these bytes; header names are written with underscores."""
    return answer(200, data, **headers)


def answer(code: int, data: bytes, **headers: str) -> Handler:
    """Answer with a status and these bytes; header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def handler(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=code, body=data, headers=named)

    return handler


def status(code: int, data: bytes = b"") -> Handler:
    """Answer with a status and no image."""

    async def handler(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=code, body=data)

    return handler


def redirect(location: str, code: int = 302) -> Handler:
    """Lead elsewhere."""

    async def handler(_request: web.BaseRequest) -> web.Response:
        return web.Response(status=code, headers={"Location": location})

    return handler


def raw(answer: bytes, *, then_close: bool = True) -> Handler:
    """Write bytes that need not be HTTP, then close the connection or leave it open in silence."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(answer)
        if then_close:
            request.transport.close()
        return await _silence()

    return handler


def endless(piece: bytes, *, pause_s: float = 0.0) -> Handler:
    """Answer 200 and go on for ever."""

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(piece)
            await asyncio.sleep(pause_s)

    return handler


async def _silence() -> web.StreamResponse:
    """Wait until the client leaves, which cancels the handler."""
    await asyncio.Event().wait()
    raise AssertionError("nothing wakes it")
