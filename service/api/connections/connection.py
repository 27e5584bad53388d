"""A connection of the API: uvicorn's HTTP protocol, with bounds on everything that a client chooses.

It stands between the socket and the parser and hands over one piece after the other: each head by itself, then its
body, and the next head once the request is answered. What is read ahead waits here, with the socket paused. When the
client leaves, or is refused, the handler of its request is cancelled.
"""

import asyncio
import re
import sys
from collections.abc import Callable

import httptools
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.server import ServerState

from service.api.connections.connection_errors import (
    BodiesFullError,
    HeadTooLargeError,
    MalformedError,
    RequestRefusedError,
)
from service.api.connections.connection_limits import MAX_HEAD_BYTES, MAX_HEADERS
from service.api.connections.ending_connection import EndingConnection, Shared
from service.api.connections.incoming_body import IncomingBody
from service.http.parsing_budget import BYTE_S, HEAD_BYTE_S
from service.http.read_ahead import ReadAhead

# Of a request, whatever it asks for: parsing, a task, an application that answers 404, and its line in the log. 107 µs
# were measured.
_REQUEST_S = 120e-6
# Of a byte around chunks, where chunks of one byte are the worst: 0.5 µs for each of them.
_FRAMING_BYTE_S = 0.15e-6
# Of a read, however short: heads may come byte by byte.
_READ_S = 5e-6
# Of a piece, however short: it wakes the handler, or is an empty line before a request.
_PIECE_S = 15e-6

# A method, or the line end that older clients send after a body.
_BEGINNING = re.compile(rb"[A-Z\r\n]")
# Offers of other protocols, which a server may ignore. The parser would take the body for bytes of the other protocol.
_UPGRADE = re.compile(rb"(?i)(?<=\n)upgrade:[^\n]*\n")


class ClientConnection(EndingConnection):
    """uvicorn's protocol with limits on heads, bodies, framing, pace, and time to parse.

    Callbacks of the parser raise `RequestRefusedError`, which ends the parser's work at once.
    """

    def __init__(
        self, shared: Shared, config: uvicorn.Config, state: ServerState, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(shared, config, state, loop)
        self._ahead = ReadAhead()
        self._ahead_held = shared.held.holder()
        self._head_bytes = 0
        self._fed_body: IncomingBody | None = None
        """The body that the parser's piece began with."""
        self._waits_for_turn = False
        self._discarded_bytes = 0

    # From the socket

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Wait for the first request."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self._parse_ahead)
        self._shared.table.opened(self)
        self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived as far as limits and budget allow."""
        self._shared.budget.charge(_READ_S)
        if self._is_refused:
            self._discard(len(data))
        else:
            self._take(data)

    def _take(self, data: bytes) -> None:
        self._patience.count(len(data))
        self._ahead.add(data)
        self._parse_ahead()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the request's handler, and give everything back."""
        super().connection_lost(exc)
        self._forget_unparsed()

    def _discard(self, size_bytes: int) -> None:
        self._discarded_bytes += size_bytes
        self._shared.budget.charge(size_bytes * BYTE_S)
        if self._discarded_bytes > self._limits.max_body_bytes:
            self.transport.abort()
        elif not self._shared.budget.is_open():
            self.transport.pause_reading()
            if not self._waits_for_turn:
                self._wait_for_turn()

    # To the parser, piece by piece

    def advance(self) -> None:
        """Parse one piece, or discard more; called by the budget when the turn has come."""
        self._waits_for_turn = False
        if self._is_refused and not self.transport.is_closing():
            self.transport.resume_reading()
        self._parse_ahead(pieces=1)

    def _wait_for_turn(self) -> None:
        self._waits_for_turn = True
        self._shared.budget.wait(self)

    def _parse_ahead(self, pieces: int = sys.maxsize) -> None:
        while pieces and (size := self._next_piece()) and self._may_parse():
            self._parse(self._ahead.take(size))
            pieces -= 1
        if not self._is_ending:
            self._wait_or_read_on()

    def _may_parse(self) -> bool:
        """Return whether there is time; a body goes before those that wait, as it holds memory until it is complete."""
        budget = self._shared.budget
        return budget.is_open() if self._body is None else not budget.is_spent()

    def _wait_or_read_on(self) -> None:
        if self._next_piece() or (self._ahead and not self._waits_for_turn and not self._shared.budget.is_open()):
            self._wait_for_turn()
        has_room = self._ahead_held.hold(max(0, len(self._ahead) - MAX_HEAD_BYTES))
        if not has_room:
            self._refuse(BodiesFullError())
        elif self._waits_for_turn or self.flow.read_paused or len(self._ahead) > MAX_HEAD_BYTES:
            self._patience.pause()
            self.transport.pause_reading()
        elif not self._is_ending:
            self._patience.resume()
            self.transport.resume_reading()

    def _next_piece(self) -> int:
        """Return how many of the bytes ahead to parse next; 0 if that has to wait."""
        if not self._ahead or self._waits_for_turn or self.flow.read_paused or self._is_ending:
            return 0
        if self._body is not None:
            return self._body.next_piece()
        return 0 if self._is_unanswered else self._next_head()

    def _next_head(self) -> int:
        end = self._ahead.end_of_head()
        if not self._ahead.begins_with(_BEGINNING):
            self._refuse(MalformedError())
        elif self._head_bytes + (end or len(self._ahead)) > MAX_HEAD_BYTES:
            self._refuse(_head_too_large())
        elif end:
            return end
        elif not self._patience.is_running:
            self._unset_keepalive_if_required()
            self._patience.expect(self._limits.head_timeout_s)
        return 0

    def _parse(self, piece: bytes) -> None:
        self._fed_body = body = self._body
        self._shared.budget.charge(_PIECE_S)
        if body is None:
            self._head_bytes += len(piece)
            self._shared.budget.charge(len(piece) * HEAD_BYTE_S)
            piece = _UPGRADE.sub(b"", piece)
        try:
            self.parser.feed_data(piece)
            if body is not None:
                self._charge_body(body, len(piece))
                body.check_framing()
        except RequestRefusedError as error:
            self._refuse(error)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._shared.budget.charge(len(piece) * _FRAMING_BYTE_S)  # how much was read of it is not known
            self._stop(error.__context__)

    def _charge_body(self, body: IncomingBody, size_bytes: int) -> None:
        framing_bytes = body.add_piece(size_bytes)
        self._shared.budget.charge(size_bytes * BYTE_S + framing_bytes * _FRAMING_BYTE_S)

    def _stop(self, cause: BaseException | None) -> None:
        """End after an error of the parser, which has the error of a callback as its context."""
        if isinstance(cause, _PipelinedError):
            self._forget_unparsed()
            self.shutdown()
        else:
            self._refuse(cause if isinstance(cause, RequestRefusedError) else MalformedError())

    # From the parser

    def on_message_begin(self) -> None:
        """Begin a request; the piece that ended a chunked body may hold another one, which is not looked for."""
        if self._fed_body is not None:
            raise _PipelinedError
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; trailers of a body are left out, as they would join the headers that were checked."""
        if self._body is not None:
            return
        if len(self.headers) >= MAX_HEADERS:
            raise _head_too_large()
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Check the head, and start the handler."""
        if self.parser.should_upgrade():  # CONNECT asks for it by its name alone
            raise MalformedError
        limits = self._limits
        is_bounded = self.url.partition(b"?")[0].decode("latin1") not in limits.unbounded_paths
        body = IncomingBody(self.headers, limits.max_body_bytes if is_bounded else None)
        if is_bounded and not self._shared.held.has_room(body.length):
            raise BodiesFullError
        super().on_headers_complete()
        self._body = body
        self._head_bytes = 0
        self._unset_keepalive_if_required()
        self._shared.table.works(self)
        self._shared.budget.charge(_REQUEST_S)
        if is_bounded:
            self._expect_body()
        else:  # its client may wait for outcomes before it sends more
            self._patience.forget()

    def _expect_body(self) -> None:
        limits = self._limits
        self._patience.expect(
            limits.body_timeout_s, min_bytes_per_s=limits.min_bytes_per_s, window_s=limits.body_window_s
        )

    def on_body(self, body: bytes) -> None:
        """Take a part of the body; a handler that has answered does not get it."""
        assert self._body is not None  # noqa: S101 - set with the headers
        self._body.add(len(body))
        if self._body.is_bounded and self._is_unanswered and not self._body_held.hold(self._body.bytes):
            raise BodiesFullError
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End the body."""
        super().on_message_complete()
        self._body = None
        self._patience.forget()
        if not self._is_unanswered:
            self._wait_for_request()

    def on_response_complete(self) -> None:
        """Go on with the next request; uvicorn's method would time out a request that is begun here."""
        self.server_state.total_requests += 1
        if self._is_ending:
            return
        if self._body is None:
            self._wait_for_request()
        else:  # nothing reads its rest
            self._shared.table.waits(self)
            if not self._body.is_bounded:
                self._expect_body()
        self.flow.resume_reading()
        self._parse_ahead()

    def _forget_unparsed(self) -> None:
        super()._forget_unparsed()
        self._ahead.clear()
        self._ahead_held.give_back()


class _PipelinedError(Exception):
    """A request follows in the same piece as the end of a chunked body, so its head was not measured."""


class _Flow(FlowControl):
    """uvicorn's flow control, with the socket left to the connection."""

    def __init__(self, transport: asyncio.Transport, on_resume: Callable[[], None]) -> None:
        super().__init__(transport)
        self._on_resume = on_resume

    def pause_reading(self) -> None:
        self.read_paused = True

    def resume_reading(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self._on_resume()


def _head_too_large() -> HeadTooLargeError:
    return HeadTooLargeError(max_bytes=MAX_HEAD_BYTES, max_headers=MAX_HEADERS)
