"""An application, and a server for it, that tests treat badly."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from service.api.connections.connection_limits import ConnectionLimits, limits_of
from service.api.connections.server import Server, serve_http
from service.settings.api import ApiSettings

MIB = 1024 * 1024
TICK_S = 0.01
CHUNKED = b"POST /size HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET /size HTTP/1.1\r\nHost: a\r\n\r\n"


def post(path: str, length: int) -> bytes:
    """Return the head of a request with a body."""
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode()


class App:
    """Routes that wait, answer early, answer much, or fail; and what became of their handlers."""

    def __init__(self) -> None:
        self.api = FastAPI()
        self.may_end = asyncio.Event()
        self.begun = 0
        self.cancelled = 0
        self.finished = 0
        self.heads: list[dict[str, str]] = []
        routes: dict[str, Callable[..., Any]] = {
            "/size": self.size,
            "/wait": self.wait,
            "/unread": self.unread,
            "/early": self.early,
            "/large": self.large,
            "/stream": self.stream,
            "/fails": self.fails,
            "/fails-halfway": self.fails_halfway,
            "/echo": self.echo,
        }
        for path, handler in routes.items():
            self.api.api_route(path, methods=["GET", "POST"], response_model=None)(handler)

    @asynccontextmanager
    async def _counted(self) -> AsyncIterator[None]:
        self.begun += 1
        try:
            yield
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.finished += 1

    async def size(self, request: Request) -> int:
        async with self._counted():
            body = await request.body()
            self.heads.append(dict(request.headers))
            return len(body)

    async def wait(self, request: Request) -> int:
        """Read the body, then wait."""
        async with self._counted():
            size = len(await request.body())
            await self.may_end.wait()
            return size

    async def unread(self) -> int:
        """Wait without reading the body."""
        async with self._counted():
            await self.may_end.wait()
            return 0

    async def early(self) -> str:
        """Answer without reading the body."""
        return "early"

    async def large(self) -> Response:
        async with self._counted():
            return Response(b"x" * 64_000_000)

    async def stream(self) -> StreamingResponse:
        return StreamingResponse(self._parts())

    async def _parts(self) -> AsyncIterator[bytes]:
        async with self._counted():
            for _ in range(1000):
                yield b"x" * 64_000

    async def fails(self) -> None:
        raise ValueError("a secret")

    async def fails_halfway(self) -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"x"
            raise ValueError("a secret")

        return StreamingResponse(parts())

    async def echo(self, request: Request) -> str:
        return str(request.url.path) + "?" + str(request.url.query)


@asynccontextmanager
async def serving(
    app: App, settings: ApiSettings | None = None, *, limits: dict[str, Any] | None = None
) -> AsyncIterator[Server]:
    """Serve with limits that tests can wait for."""
    settings = settings or ApiSettings()
    chosen: ConnectionLimits = replace(limits_of(settings), **(limits or {}))
    async with serve_http(app.api, settings, drain_s=0.2, limits=chosen, tick_s=TICK_S) as server:
        yield server
