"""Uvicorn's HTTP protocol, whose handlers end when their clients leave, and which can refuse and end a connection."""

import asyncio
import contextvars
import select
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from service.api.connections.connection_errors import NotAnsweredError, RequestRefusedError, TooSlowError, encoded
from service.api.connections.connection_limits import ConnectionLimits, HeldBytes
from service.api.connections.connection_table import ConnectionTable
from service.api.connections.incoming_body import IncomingBody
from service.api.connections.patience import Patience, UnsentAnswer
from service.http.parsing_budget import ParsingBudget
from service.telemetry.foreign_errors import scrub_exception

log = structlog.get_logger(__name__)

# Of Linux alone; elsewhere a client that leaves while its socket is paused is noticed later.
_RDHUP = getattr(select, "POLLRDHUP", 0)


OnRefused = Callable[[RequestRefusedError, Mapping[str, Any] | None], None]
"""Called with an error, and the ASGI scope of the request if its handler has begun."""


@dataclass(frozen=True)
class Shared:
    """What the connections of one server have in common."""

    limits: ConnectionLimits
    table: ConnectionTable
    held: HeldBytes
    budget: ParsingBudget
    clock: Callable[[], float]
    on_refused: OnRefused


class EndingConnection(HttpToolsProtocol):
    """The ends of requests and connections; the class above it brings their beginnings."""

    def __init__(
        self, shared: Shared, config: uvicorn.Config, state: ServerState, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(config, state, {}, loop)
        self._shared = shared
        self._limits = limits = shared.limits
        self._body: IncomingBody | None = None
        """The body that arrives."""
        self._body_held = shared.held.holder()
        self._handler: asyncio.Task[None] | None = None
        self._patience = Patience(shared.clock)
        self._unsent = UnsentAnswer(limits.min_bytes_per_s, limits.answer_window_s, shared.clock)
        self._is_refused = False

    @property
    def _is_unanswered(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _is_ending(self) -> bool:
        return self._is_refused or self.transport.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the request's handler."""
        self._cancel_handler()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        self._shared.table.closed(self)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # In a context of its own: the previous request of the connection may have left something in the current one.
        task = self.loop.create_task(self._handle(cycle, app), context=contextvars.Context())
        self._handler = task
        self._body_held = self._shared.held.holder()
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        task.add_done_callback(self._body_held.give_back)

    async def _handle(self, cycle: RequestResponseCycle, app: Any) -> None:
        try:
            await app(cycle.scope, cycle.receive, cycle.send)
        except asyncio.CancelledError:
            if not cycle.disconnected:
                raise
        except Exception as error:
            if not (cycle.response_complete or cycle.disconnected):
                log.exception("api.not_answered", error=type(error).__name__, exc_info=scrub_exception(error))
        if not (cycle.response_complete or cycle.disconnected):
            self._refuse(NotAnsweredError())

    def _cancel_handler(self) -> None:
        if self._is_unanswered:
            self.cycle.disconnected = True
            self.cycle.waiting_for_100_continue = False
            self.cycle.message_event.set()
            if self._handler is not None:
                self._handler.cancel()

    def _wait_for_request(self) -> None:
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(
            self._limits.idle_timeout_s, self.timeout_keep_alive_handler
        )
        self._shared.table.waits(self)

    def check(self) -> None:
        """End the connection if its client takes too long or has left; called every second."""
        if self._is_stuck() or (self._patience.is_paused and self._has_left()):
            self.transport.abort()
        elif self._patience.is_over():
            if self._is_refused:
                self.transport.abort()
            else:
                limits = self._limits
                self._refuse(TooSlowError(timeout_s=limits.body_timeout_s, min_bytes_per_s=limits.min_bytes_per_s))

    def _is_stuck(self) -> bool:
        is_writing = self._is_unanswered and not self.flow.write_paused and not self._is_ending
        return self._unsent.is_stuck(0 if is_writing else self.transport.get_write_buffer_size())

    def _has_left(self) -> bool:
        """Return whether the client closed the connection; a paused socket reports nothing by itself."""
        poller = select.poll()
        poller.register(self.transport.get_extra_info("socket").fileno(), _RDHUP)
        return bool(poller.poll(0))

    def give_way(self) -> None:
        """End at once, for another client."""
        self.transport.abort()

    def _refuse(self, error: RequestRefusedError) -> None:
        """Answer with an error if no answer has begun, cancel the handler, and end the connection."""
        if self._is_ending:
            return
        self._is_refused = True
        self._shared.on_refused(error, dict(self.cycle.scope) if self._is_unanswered else None)
        is_in_request = self._body is not None or self._is_unanswered
        has_begun = is_in_request and self.cycle is not None and self.cycle.response_started
        self._cancel_handler()
        self._forget_unparsed()
        if has_begun:
            self.transport.abort()
        else:
            self.transport.write(encoded(error, self.server_state.default_headers))
            self._linger()

    def _linger(self) -> None:
        """Read on for a while: an answer is lost if its connection is closed with bytes unread."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._unset_keepalive_if_required()
        self._patience.resume()
        self._patience.expect(self._limits.linger_s)
        self.transport.resume_reading()
        self._shared.table.waits(self)

    def _forget_unparsed(self) -> None:
        """Expect nothing more of a request."""
        self._patience.forget()
