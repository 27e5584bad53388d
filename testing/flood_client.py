"""Clients of an HTTP server, in a process of their own, that send a beginning, then one piece for ever.

They read nothing, and open a connection again when the server closes it. `python -m testing.flood_client` reads port,
number of connections, beginning and piece from the command line, the latter two as hexadecimal text.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Sent at once, so that the client costs less than what is measured.
_BLOCK_BYTES = 256 * 1024


@contextmanager
def flooded(port: int, beginning: bytes, piece: bytes, *, connections: int) -> Iterator[None]:
    """Flood a port of this machine until the block ends; without a piece, connections close after the beginning."""
    process = subprocess.Popen(
        [sys.executable, "-m", "testing.flood_client", str(port), str(connections), beginning.hex(), piece.hex()],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def _flood(port: int, connections: int, beginning: bytes, piece: bytes) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(_connect_for_ever(port, beginning, piece))


async def _connect_for_ever(port: int, beginning: bytes, piece: bytes) -> None:
    block = piece * (_BLOCK_BYTES // len(piece)) if piece else b""
    while True:
        with suppress(ConnectionError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await _send_for_ever(reader, writer, beginning, block)
            finally:
                writer.transport.abort()


async def _send_for_ever(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, beginning: bytes, block: bytes
) -> None:
    writer.write(beginning)
    await writer.drain()
    while block and not reader.at_eof():
        writer.write(block)
        await writer.drain()
        await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(_flood(int(sys.argv[1]), int(sys.argv[2]), *map(bytes.fromhex, sys.argv[3:])))
