"""No socket outlives the client that opened it, whatever the listener does and however the start ends."""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace

import psutil
import pytest

from service.kafka.connection import Client, KafkaConnection, stop_client
from service.kafka.errors import KafkaUnreachableError
from service.settings.kafka import KafkaSettings
from testing.secured_kafka import CERTIFICATES

CLIENTS: dict[str, Callable[[KafkaConnection], Client]] = {
    "group consumer": KafkaConnection.group_consumer,
    "reader": lambda connection: connection.reader(("topic",)),
    "onlooker": KafkaConnection.onlooker,
    "producer": KafkaConnection.producer,
    "transactional producer": lambda connection: connection.transactional_producer("id", timeout_s=1.0),
    "admin client": KafkaConnection.admin,
}

Answer = Callable[[asyncio.StreamWriter], None]


def close(writer: asyncio.StreamWriter) -> None:
    """Refuse a client at once."""
    writer.close()


@asynccontextmanager
async def listener(answer: Answer, protocol: str = "PLAINTEXT") -> AsyncIterator[int]:
    """Listen as a broker that does one thing with every connection."""
    served: list[asyncio.StreamWriter] = []

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(writer)
        answer(writer)

    context = None
    if protocol == "SSL":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(CERTIFICATES / "broker.pem")
    server = await asyncio.start_server(serve, "localhost", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in served:
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in served), return_exceptions=True)


def connection_to(port: int, protocol: str = "PLAINTEXT") -> KafkaConnection:
    return KafkaConnection(
        KafkaSettings.model_validate(
            {
                "bootstrap_servers": f"localhost:{port}",
                "security_protocol": protocol,
                "ssl_cafile": CERTIFICATES / "ca.pem" if protocol == "SSL" else None,
            }
        )
    )


def sockets_to(port: int) -> int:
    connections = psutil.Process().net_connections("tcp")
    return sum(bool(each.raddr) and each.raddr.port == port for each in connections)


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize(("spoken", "configured"), [("PLAINTEXT", "PLAINTEXT"), ("SSL", "SSL"), ("PLAINTEXT", "SSL")])
async def test_a_client_that_is_refused_leaves_no_socket(kind: str, spoken: str, configured: str) -> None:
    async with listener(close, spoken) as port:
        connection = connection_to(port, configured)
        with pytest.raises(KafkaUnreachableError):
            await connection.start(CLIENTS[kind](connection))
        assert not sockets_to(port)


async def start_and_cancel(kind: str, spoken: str, configured: str) -> int:
    """Cancel a start once the listener, which answers nothing, has the connection; return how many sockets are left."""
    connected = asyncio.Event()

    def answer(writer: asyncio.StreamWriter) -> None:
        assert isinstance(writer.transport, asyncio.Transport)
        writer.transport.pause_reading()
        connected.set()

    async with listener(answer, spoken) as port:
        connection = connection_to(port, configured)
        start = asyncio.create_task(connection.start(CLIENTS[kind](connection)))
        await connected.wait()
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        return sockets_to(port)


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_start_that_is_cancelled_leaves_no_socket(kind: str) -> None:
    assert not await start_and_cancel(kind, "PLAINTEXT", "PLAINTEXT")


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_start_that_is_cancelled_while_it_waits_for_metadata_leaves_no_socket(kind: str) -> None:
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readexactly(int.from_bytes(await reader.readexactly(4)))
        correlation_id = request[4:8]
        # ApiVersions: no error, and one API: metadata (3) in versions 0 and 1.
        answer = correlation_id + struct.pack(">hi3h", 0, 1, 3, 0, 1)
        writer.write(len(answer).to_bytes(4) + answer)
        await reader.readexactly(4)
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "localhost", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        connection = connection_to(port)
        start = asyncio.create_task(connection.start(CLIENTS[kind](connection)))
        await asked.wait()
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        assert not sockets_to(port)


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_start_that_is_cancelled_during_the_handshake_leaves_no_socket(kind: str) -> None:
    assert not await start_and_cancel(kind, "PLAINTEXT", "SSL")


async def test_a_broker_that_does_not_confirm_the_end_of_a_session_leaves_no_socket() -> None:
    assert not await start_and_cancel("admin client", "SSL", "SSL")


async def test_connections_are_closed_when_the_end_of_a_client_is_cut_short() -> None:
    closed = asyncio.Event()

    class Stuck:
        """A client that waits for its broker when it is stopped."""

        client = SimpleNamespace(close=_setting(closed))

        async def stop(self) -> None:
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await stop_client(Stuck())
    assert closed.is_set()


def _setting(event: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def close() -> None:
        event.set()

    return close
