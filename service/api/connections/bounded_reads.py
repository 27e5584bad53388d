"""Reads from a client's socket in small parts, so that many clients together cannot fill a turn of the event loop.

uvloop alone reads up to 256 KiB from each client in one turn, before any of them can be asked to wait.
"""

import asyncio

from service.http.parsing_budget import ParsingBudget

_READ_BYTES = 64 * 1024
# Of each client in a turn whose budget is spent.
_SPENT_READ_BYTES = 8 * 1024


class ReadBuffer:
    """The memory that all connections of an event loop read into, one after the other."""

    def __init__(self, budget: ParsingBudget) -> None:
        self._budget = budget
        self._whole = memoryview(bytearray(_READ_BYTES))
        self._small = self._whole[:_SPENT_READ_BYTES]

    def part(self) -> memoryview:
        """Return as much of it as may be filled now."""
        return self._small if self._budget.is_spent() else self._whole

    def filled(self, size_bytes: int) -> bytes:
        """Return what was read last."""
        return bytes(self._whole[:size_bytes])


class BoundedReads(asyncio.BufferedProtocol):
    """Stands between a transport and a protocol that takes bytes as they come."""

    def __init__(self, protocol: asyncio.Protocol, buffer: ReadBuffer) -> None:
        self._protocol = protocol
        self._buffer = buffer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._protocol.connection_made(transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to read to; what it holds is taken at once."""
        return self._buffer.part()

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read."""
        self._protocol.data_received(self._buffer.filled(nbytes))

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._protocol.connection_lost(exc)

    def eof_received(self) -> bool | None:
        """End what the client sends."""
        return self._protocol.eof_received()

    def pause_writing(self) -> None:
        """Wait until the client reads on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Write on."""
        self._protocol.resume_writing()
