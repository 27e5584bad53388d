"""The open connections, within a limit: a new client takes the place of one that has no request in hand."""

import asyncio
from collections import OrderedDict
from typing import Protocol


class Closable(Protocol):
    """A connection, or the TLS handshake of one."""

    def give_way(self) -> None:
        """End at once."""
        ...


class ConnectionTable:
    """Open connections, those without a request in hand in the order in which they began to wait.

    Clients that open connections and send nothing, or half of a head, therefore never keep others out.
    """

    def __init__(self, max_connections: int) -> None:
        self._max_connections = max_connections
        self._open: set[Closable] = set()
        self._waiting: OrderedDict[Closable, None] = OrderedDict()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, connection: Closable) -> None:
        """Count a connection, which waits for its first request."""
        self._open.add(connection)
        self.waits(connection)

    def waits(self, connection: Closable) -> None:
        """Take note that the connection has no request in hand from now on."""
        if connection in self._open:
            self._waiting[connection] = None
            self._waiting.move_to_end(connection)
            self._changed.set()

    def works(self, connection: Closable) -> None:
        """Take note that the connection has a request in hand."""
        self._waiting.pop(connection, None)

    def closed(self, connection: Closable) -> None:
        """Count the connection no more."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)
        self._changed.set()

    async def room(self) -> None:
        """Return once another connection may be opened, after ending the one that waits longest if need be."""
        while len(self._open) >= self._max_connections:
            if not self.end_oldest():
                await self._change()

    def end_oldest(self) -> bool:
        """End the connection that waits longest, and return whether there was one."""
        if not self._waiting:
            return False
        connection, _ = self._waiting.popitem(last=False)
        self._open.discard(connection)
        connection.give_way()
        return True

    async def empty(self) -> None:
        """Return once no connection is open."""
        while self._open:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
