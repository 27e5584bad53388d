"""A thousand clients of an HTTP server, in a process of their own: some idle, some slow, some that upload.

`python -m testing.many_clients` reads port and the number of each kind from the command line, and prints one JSON line
when all uploads are answered. Idle and slow clients stay until the process is killed.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from testing.raw_client import RawClient, raw_client

_BODY_BYTES = 1_000_000
_SLOW_PIECE = b"x" * 1024
_SLOW_EVERY_S = 0.5


@dataclass(frozen=True)
class Kinds:
    """How many clients of each kind there are."""

    idle: int
    slow_heads: int
    slow_bodies: int
    uploads: int


@dataclass(frozen=True)
class Uploads:
    """What became of the uploads."""

    answered: int
    refused: int
    """Answers 429, after which the client tries again."""
    slowest_s: float


@asynccontextmanager
async def many_clients(port: int, kinds: Kinds) -> AsyncIterator[asyncio.Future[Uploads]]:
    """Run the clients until the block ends; gives the result of the uploads."""
    numbers = [port, kinds.idle, kinds.slow_heads, kinds.slow_bodies, kinds.uploads]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "testing.many_clients", *map(str, numbers), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    result = asyncio.ensure_future(_result(process.stdout))
    try:
        yield result
    finally:
        result.cancel()
        with suppress(ProcessLookupError):  # without clients that stay, it has ended by itself
            process.kill()
        await process.wait()


async def _result(output: asyncio.StreamReader) -> Uploads:
    return Uploads(**json.loads(await output.readline()))


async def _run(port: int, idle: int, slow_heads: int, slow_bodies: int, uploads: int) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(idle):
            tasks.create_task(_stay(port, b"", b""))
        for _ in range(slow_heads):
            tasks.create_task(_stay(port, b"GET /size HTTP/1.1\r\n", b"X: y\r\n"))
        for _ in range(slow_bodies):
            tasks.create_task(_stay(port, b"POST /size HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n", _SLOW_PIECE))
        sent = [tasks.create_task(_upload(port)) for _ in range(uploads)]
        results = [await task for task in sent]
        refused, slowest_s = sum(refused for refused, _ in results), max((took for _, took in results), default=0.0)
        uploaded = {"answered": len(results), "refused": refused, "slowest_s": slowest_s}
        print(json.dumps(uploaded), flush=True)  # noqa: T201 - what the caller waits for


async def _stay(port: int, beginning: bytes, piece: bytes) -> None:
    async with raw_client(port) as client:
        await client.send(beginning)
        while True:
            await asyncio.sleep(_SLOW_EVERY_S)
            await client.send(piece)


async def _upload(port: int) -> tuple[int, float]:
    """Upload until it is answered; returns how often it was refused, and the seconds that the last attempt took."""
    refused = 0
    while True:
        began_s = time.monotonic()
        async with raw_client(port) as client:
            status = await _status(client)
        if status == 200:
            return refused, time.monotonic() - began_s
        refused += 1
        await asyncio.sleep(1.0)


async def _status(client: RawClient) -> int:
    await client.send(f"POST /size HTTP/1.1\r\nContent-Length: {_BODY_BYTES}\r\n\r\n".encode(), b"x" * _BODY_BYTES)
    return (await client.answer()).status


if __name__ == "__main__":
    asyncio.run(_run(*map(int, sys.argv[1:])))
