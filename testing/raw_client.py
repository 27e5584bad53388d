"""A client of an HTTP server that sends whatever bytes a test wants, and reads the answers one by one."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def code(self) -> str:
        """The reason code of an error."""
        return str(self.json["error"]["code"])


# No answer takes so long; pytest's own limit cannot interrupt uvloop.
_TIMEOUT_S = 20.0


class RawClient:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        """Send pieces, each in a segment of its own."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def drip(self, piece: bytes, *, every_s: float) -> None:
        """Send the same piece until the server closes the connection."""
        with suppress(ConnectionError):
            async with asyncio.timeout(_TIMEOUT_S):
                while not self.writer.is_closing():
                    await self.send(piece)
                    await asyncio.sleep(every_s)

    async def answer(self) -> Answer:
        """Return the next answer; raises `asyncio.IncompleteReadError` if the connection ends before."""
        async with asyncio.timeout(_TIMEOUT_S):
            return await self._answer()

    async def _answer(self) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        status_line, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(status_line.split()[1]), headers, body)

    async def is_closed(self) -> bool:
        """Return True once the server has closed the connection, and False if it sends something instead."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await self._reader.read(1) == b""
        except ConnectionError:
            return True

    async def rest(self) -> bytes:
        """Return everything until the server closes the connection."""
        received = b""
        with suppress(ConnectionError):
            async with asyncio.timeout(_TIMEOUT_S):
                while piece := await self._reader.read(65_536):
                    received += piece
        return received

    async def close(self) -> None:
        """Leave, whatever is under way."""
        self.writer.transport.abort()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@asynccontextmanager
async def raw_client(port: int, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawClient]:
    """Connect to this machine."""
    client = RawClient(*await asyncio.open_connection("127.0.0.1", port, ssl=tls))
    try:
        yield client
    finally:
        await client.close()
