"""A web server in a process of its own that answers with a beginning, then with one piece for ever, as fast as it can.

It listens on every loopback address, so that it can be as many hosts as a test wants.

`python -m testing.flood_server` reads both as hexadecimal text from the command line and prints its port.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

# Sent at once, so that the server costs less than what is measured.
_BLOCK_BYTES = 256 * 1024


@contextmanager
def flooding(beginning: bytes, piece: bytes) -> Iterator[int]:
    """Run the server until the block ends; gives its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "testing.flood_server", beginning.hex(), piece.hex()],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


async def _serve(beginning: bytes, piece: bytes) -> None:
    block = piece * (_BLOCK_BYTES // len(piece))

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(beginning)
            while True:
                writer.write(block)
                await writer.drain()

    server = await asyncio.start_server(flood, "0.0.0.0", 0, backlog=512)  # noqa: S104 - for every loopback address
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - what the caller waits for
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(*map(bytes.fromhex, sys.argv[1:])))
