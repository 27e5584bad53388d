"""uvicorn's HTTP protocol in the running event loop: listens, accepts, and drains at the end.

uvicorn's own server installs signal handlers, ends the process when a port is taken, and accepts without limit, so
this module does what it does.
"""

import asyncio
import errno
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial

import structlog
import uvicorn
from uvicorn.server import ServerState

from service.api.connections.bounded_reads import BoundedReads, ReadBuffer
from service.api.connections.certificate import Certificate, certificate_of
from service.api.connections.connection import ClientConnection
from service.api.connections.connection_limits import ConnectionLimits, HeldBytes, limits_of
from service.api.connections.connection_table import ConnectionTable
from service.api.connections.ending_connection import OnRefused, Shared
from service.api.connections.listener import listen
from service.api.request_log import note_refusal
from service.http.parsing_budget import SHARE, ParsingBudget
from service.runtime.open_files import raise_open_files
from service.settings.api import ApiSettings
from service.telemetry.foreign_errors import scrub_exception

log = structlog.get_logger(__name__)

Application = Callable[..., Awaitable[None]]
"""An ASGI application; libraries describe its arguments by types of their own."""

# How often slow connections are looked for. The Date header counts seconds, too.
_TICK_S = 1.0
# How long a cancelled handler may take to clean up.
_CLEAN_UP_S = 2.0
# What one accepted connection costs the event loop, without and with TLS.
_ACCEPT_S = 100e-6
_HANDSHAKE_COST_S = 1e-3
# What the operating system holds of an answer that its client does not take; without it some megabytes.
_UNSENT_BYTES = 64 * 1024
# Descriptors for everything else: brokers, image hosts, decoders, models.
_OTHER_FILES = 512
# Until a connection that makes room is closed.
_CLOSING_S = 0.001
# Until the process may have a free file descriptor again.
_EXHAUSTED_S = 0.1
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@asynccontextmanager
async def serve_http(
    app: Application,
    settings: ApiSettings,
    *,
    drain_s: float = 10.0,
    loop_share: float = SHARE,
    limits: ConnectionLimits | None = None,
    tick_s: float = _TICK_S,
    on_refused: OnRefused = note_refusal,
) -> AsyncIterator["Server"]:
    """Serve an ASGI application on `api.host` and `api.port` until the block ends; yields when clients can connect.

    Port 0 takes a free port, which `Server.port` names. The application's lifespan events are not sent. When a client
    leaves, its handler is cancelled. At the end no new connection is accepted, requests in hand have `drain_s` seconds
    to finish, and the others are cancelled.

    Reading requests and starting their handlers takes `loop_share` of the event loop's time at most, and some
    milliseconds of a turn. `on_refused` is called for each request that is refused here, before or instead of an answer
    of the application.

    Raises `PortTakenError`, `AddressUnusableError` or `CertificateUnusableError`.
    """
    certificate = certificate_of(settings)
    limits = limits or limits_of(settings)
    shared = Shared(
        limits=limits,
        table=ConnectionTable(_connections(settings.max_connections)),
        held=HeldBytes(settings.max_held_bytes),
        budget=ParsingBudget(share=loop_share),
        clock=time.monotonic,
        on_refused=on_refused,
    )
    server = Server(app, await listen(settings.host, settings.port), certificate, shared, tick_s)
    try:
        server.start()
        log.info("api.listening", host=settings.host, port=server.port, tls=certificate is not None)
        yield server
    finally:
        await server.drain(drain_s)


class Server:
    """Connections of the API, from the first byte to the last."""

    def __init__(
        self,
        app: Application,
        sockets: list[socket.socket],
        certificate: Certificate | None,
        shared: Shared,
        tick_s: float,
    ) -> None:
        self._sockets = sockets
        self._certificate = certificate
        self._shared = shared
        self._tick_s = tick_s
        self._buffer = ReadBuffer(shared.budget)
        self._state = ServerState()
        self._config = uvicorn_config(app)
        self._accepting: list[asyncio.Task[None]] = []
        self._connecting: set[_Connecting] = set()
        self._clock: asyncio.Task[None] | None = None
        self._is_exhausted = False
        """Whether the process ran out of file descriptors, which is logged once."""

    @property
    def port(self) -> int:
        """The port that clients connect to."""
        return int(self._sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """Open connections, with those whose TLS handshake is not over."""
        return len(self._shared.table)

    @property
    def held_bytes(self) -> int:
        """Bytes of the bodies of all requests."""
        return self._shared.held.bytes

    def start(self) -> None:
        """Begin to accept connections."""
        self._clock = asyncio.create_task(_repeat(self._tick))
        self._accepting = [
            asyncio.create_task(_repeat(partial(self._accept, listening))) for listening in self._sockets
        ]

    async def drain(self, within_s: float) -> None:
        """Accept no more, let requests in hand finish within a time limit, then end what is left."""
        await _end([*self._accepting, *(connecting.task for connecting in self._connecting)])
        for listening in self._sockets:
            listening.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._shared.table.empty(), timeout=within_s)
        await self._end_rest()

    async def _end_rest(self) -> None:
        if self._shared.table:
            log.warning("api.requests_cut_off", connections=self.connections)
        for connection in list(self._state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # connections notice, and cancel their handlers
        await _end([*self._state.tasks, *([self._clock] if self._clock else [])])

    async def _accept(self, listening: socket.socket) -> None:
        await _readable(listening)
        await self._shared.budget.turn()
        await self._shared.table.room()
        try:
            client, _ = listening.accept()
        except OSError as error:  # of a client that left meanwhile, or of this process
            await self._recover(error)
        else:
            self._shared.budget.charge(_HANDSHAKE_COST_S if self._certificate else _ACCEPT_S)
            self._begin(client)

    def _begin(self, client: socket.socket) -> None:
        client.setblocking(False)
        connecting = _Connecting(client, asyncio.create_task(self._connect(client)))
        self._connecting.add(connecting)
        self._shared.table.opened(connecting)
        connecting.task.add_done_callback(lambda _: self._connected(connecting))

    def _connected(self, connecting: "_Connecting") -> None:
        self._connecting.discard(connecting)
        self._shared.table.closed(connecting)
        if connecting.task.cancelled():  # perhaps before it began
            connecting.client.close()

    async def _recover(self, error: OSError) -> None:
        """Make room where the process has no file descriptor left; a client that left meanwhile needs nothing."""
        if error.errno not in _EXHAUSTED:
            return
        if not self._is_exhausted:
            self._is_exhausted = True
            log.error("api.accept_failed", error=error)
        has_room = self._shared.table.end_oldest()
        await asyncio.sleep(_CLOSING_S if has_room else _EXHAUSTED_S)

    async def _connect(self, client: socket.socket) -> None:
        """Hand an accepted socket to the protocol, after the TLS handshake if there is one."""
        loop = asyncio.get_running_loop()
        tls = self._certificate.context if self._certificate else None
        connection = ClientConnection(self._shared, self._config, self._state, loop)
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
            # asyncio leaves it out for sockets that it did not accept. An answer is two writes, of which the second
            # would wait for the client's delayed acknowledgement: 40 ms.
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.connect_accepted_socket(
                partial(BoundedReads, connection, self._buffer),
                client,
                ssl=tls,
                ssl_handshake_timeout=self._shared.limits.handshake_timeout_s if tls else None,
                ssl_shutdown_timeout=self._shared.limits.answer_window_s if tls else None,
            )
        except OSError:  # the client left, or speaks no TLS
            client.close()

    async def _tick(self) -> None:
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        for connection in list(self._state.connections):
            if isinstance(connection, ClientConnection):
                connection.check()
        if self._certificate is not None:
            await self._certificate.refresh()
        await asyncio.sleep(self._tick_s)


@dataclass(frozen=True, eq=False)
class _Connecting:
    """A client whose connection begins, which takes as long as its TLS handshake."""

    client: socket.socket
    task: asyncio.Task[None]

    def give_way(self) -> None:
        self.task.cancel()


def _connections(wanted: int) -> int:
    """Return how many connections the process may have, after raising its limit on open files if need be."""
    limit = raise_open_files(wanted + _OTHER_FILES)
    allowed = max(1, min(wanted, limit - _OTHER_FILES))
    if allowed < wanted:
        log.warning("api.connections_limited", max_connections=wanted, allowed=allowed, open_files=limit)
    return allowed


def uvicorn_config(app: Application) -> uvicorn.Config:
    """Return uvicorn's settings; its log lines go to the root logger, and the access log is the application's."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, http=ClientConnection, ws="none", lifespan="off", proxy_headers=False
    )
    config.load()
    return config


async def _repeat(step: Callable[[], Awaitable[None]]) -> None:
    """Repeat a step for ever: a defect in it is logged, and does not close the API or let slow clients stay."""
    while True:
        try:
            await step()
        except Exception as error:
            log.exception("api.defect", error=type(error).__name__, exc_info=scrub_exception(error))
            await asyncio.sleep(_TICK_S)


async def _readable(listening: socket.socket) -> None:
    """Return when a client wants to connect. Unlike `sock_accept`, it loses none when it is cancelled."""
    loop = asyncio.get_running_loop()
    is_readable = asyncio.Event()
    loop.add_reader(listening, is_readable.set)
    try:
        await is_readable.wait()
    finally:
        loop.remove_reader(listening)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_CLEAN_UP_S)
