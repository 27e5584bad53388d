"""Transports of connections to brokers: all of them are closed when a client has stopped.

aiokafka closes a connection without waiting for its transport where the broker refuses it, and where the first
connection of a client has served its purpose. Such a transport outlives its client: a TLS one until the broker has
confirmed the end of the session. Where a start is cancelled, aiokafka forgets the first connection and leaves it open.
"""

import asyncio
import contextlib
import weakref
from types import MethodType
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection

from service.kafka.with_globals import with_globals

_CLOSE_TIMEOUT_S = 1.0
"""Time limit for closing in good order; it takes one round trip."""


class Transports:
    """The transports of some connections, until each is closed."""

    def __init__(self) -> None:
        self._closing: dict[asyncio.Future[None], asyncio.WriteTransport] = {}
        self._connections: weakref.WeakSet[_Connection] = weakref.WeakSet()

    async def connect(self, host: str, port: int, **options: Any) -> AIOKafkaConnection:
        """Return a new connection to a broker; takes and raises what aiokafka's `create_conn` does."""
        connection = _Connection(self._closing, host, port, **options)
        self._connections.add(connection)
        await connection.connect()
        return connection

    async def closed(self) -> None:
        """Close every connection, and wait until all transports are closed; abort those that take longer than 1 s."""
        for connection in list(self._connections):
            connection.close()
        # asyncio closes the transport of a connection that was not made in the loop's next turn.
        await asyncio.sleep(0)
        try:
            await self._wait()
        finally:
            for transport in self._closing.values():
                transport.abort()
            await self._wait()

    async def _wait(self) -> None:
        if self._closing:
            await asyncio.wait(list(self._closing), timeout=_CLOSE_TIMEOUT_S)


class _Connection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka ships no types
    """A connection that notes its transport when it is closed."""

    def __init__(
        self, closing: dict[asyncio.Future[None], asyncio.WriteTransport], host: str, port: int, **options: Any
    ) -> None:
        super().__init__(host, port, **options)
        self._closing = closing

    def close(self, reason: Any = None, exc: BaseException | None = None) -> asyncio.Future[None] | None:
        """Begin to close, and return a future of the end as aiokafka does; cancelling it leaves the end as it is."""
        writer = self._writer
        closed: asyncio.Future[None] | None = super().close(reason, exc)
        if closed is None:  # it was never connected
            return None
        if writer is not None:
            self._closing[closed] = writer.transport
            closed.add_done_callback(self._closing.pop)
        return asyncio.shield(closed)


def await_transports(client: AIOKafkaClient) -> None:
    """Let `client.close` return only when the transports of all connections of the client are closed."""
    transports, close = Transports(), client.close

    async def close_all() -> None:
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await close()
        finally:
            await transports.closed()

    client.close = close_all
    for method in (AIOKafkaClient.bootstrap, AIOKafkaClient._get_conn):
        connecting = with_globals(method, {"create_conn": transports.connect})
        setattr(client, method.__name__, MethodType(connecting, client))
