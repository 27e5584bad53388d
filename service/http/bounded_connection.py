"""A connection to a web server that takes no more than an answer with an image needs, whatever the server sends.

It stands between the socket and aiohttp's parser and hands over one piece after the other: each head by itself, then
the body, and nothing that follows an answer. What is read ahead of the parser waits here, with the socket paused.
"""

import asyncio
import select
import sys
import time
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_parser import RawResponseMessage
from aiohttp.streams import StreamReader

from service.http.answer_head import tolerated
from service.http.parsing_budget import BYTE_S, FRAMING_BYTE_S, HEAD_BYTE_S, ParsingBudget
from service.http.read_ahead import ReadAhead

# Status line and headers with those of all interim answers. Browsers take 256 KiB, most servers send 8 at most.
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 1000
# Early hints come once or twice; "processing" comes every few seconds while a server works.
MAX_INTERIM_ANSWERS = 16
# Sizes of chunks, their extensions, and trailers: so much, and a share of the body. Usual chunks have kilobytes.
MAX_FRAMING_BYTES = 8 * 1024
FRAMING_SHARE = 1 / 32

# Chunks of one byte make parsing the smaller one take 2 ms. It grows with what the server has sent in usual chunks.
_CHUNKED_PIECE = 8 * 1024
_MAX_CHUNKED_PIECE = 32 * 1024
_PLAIN_PIECE = 256 * 1024

_INTERIM = range(100, 200)
_SWITCHING_PROTOCOLS = 101


class AnswerRefusedError(aiohttp.ClientError):
    """The server's answer breaks a limit; the text says which."""


class AnswerTooSlowError(aiohttp.ClientError):
    """The server's answer arrives more slowly than is accepted."""


class BoundedConnection(ResponseHandler):
    """aiohttp's client protocol with limits on bytes, interim answers, framing, pace and time to parse."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        budget: ParsingBudget,
        *,
        min_bytes_per_s: int,
        window_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(loop)
        self._budget = budget
        self._window_s = window_s
        self._min_window_bytes = min_bytes_per_s * window_s
        self._clock = clock
        self._ahead = ReadAhead()
        self._waits_for_turn = False
        self._is_parsing = False
        self._is_paused = False
        """Whether this class stopped reading from the socket; aiohttp keeps its own account."""
        self._is_full = False
        """Whether the body waits for its reader."""
        self._is_asked = False
        self._begin_answer()

    def _begin_answer(self) -> None:
        self._heads = 0
        self._head_bytes = 0
        self._body: StreamReader | None = None
        self._body_bytes = 0
        self._framing_bytes = 0
        self._length: int | None = None
        self._is_chunked = False
        self._window_began_s: float | None = None
        self._window_bytes = 0

    def set_response_params(self, **params: Any) -> None:
        """Take note that a request follows; called by aiohttp before each one."""
        self._begin_answer()
        self._is_asked = True
        super().set_response_params(**params)

    def is_connected(self) -> bool:
        """Return whether it can carry a request: not if the server sent something unasked, or hung up."""
        return super().is_connected() and not (self._is_answered and self._has_unread())

    @property
    def should_close(self) -> bool:
        """Whether it must not carry another request."""
        return bool(self._ahead) or super().should_close

    @property
    def _is_answered(self) -> bool:
        return self._body is not None and self._body.is_eof()

    def _has_unread(self) -> bool:
        transport = self.transport
        if transport is None:
            return False
        poller = select.poll()
        poller.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poller.poll(0))

    def data_received(self, data: bytes) -> None:
        """Parse what arrived as far as limits and budget allow; without data, let the parser go on."""
        if not data:
            super().data_received(data)
        elif not self._is_asked or self._is_answered:
            # It belongs to no request of ours: read as an answer, it would answer the next one.
            self.abort()
        elif not self._keeps_pace(len(data)):
            self._refuse(AnswerTooSlowError())
        else:
            self._ahead.add(data)
            if not self._waits_for_turn:
                self._parse_ahead()

    def _keeps_pace(self, size_bytes: int) -> bool:
        """Return whether the answer arrives fast enough; silence is for aiohttp's read timeout to end."""
        now_s = self._clock()
        if self._window_began_s is None:
            self._window_began_s = now_s
        elif now_s - self._window_began_s > self._window_s:
            if self._window_bytes < self._min_window_bytes:
                return False
            self._window_began_s, self._window_bytes = now_s, 0
        self._window_bytes += size_bytes
        return True

    def _forget_pace(self) -> None:
        """Measure anew: pauses of ours are not the server's."""
        self._window_began_s, self._window_bytes = None, 0

    def pause_reading(self) -> None:
        """Hold back; called when as much of the body waits for its reader as may."""
        self._is_full = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Go on; aiohttp calls it whenever the reader has taken a part, however small and whether paused or not."""
        if not self._is_full:
            return
        self._is_full = False
        self._forget_pace()
        super().resume_reading(resume_parser)
        if self._waits_for_turn:
            self._pause_socket()
        elif self._ahead and not self._is_parsing:
            self._parse_ahead()

    def advance(self) -> None:
        """Parse one piece; called by the budget when the turn has come."""
        self._waits_for_turn = False
        self._parse_ahead(pieces=1)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Parse what is left, which is little, and end."""
        while self._ahead and self.transport is not None and (size := self._next_piece()):
            self._parse(self._ahead.take(size))
        if self._ahead and self.transport is not None:
            super().data_received(self._ahead.take(len(self._ahead)))
        if self._is_full and self._body is not None and not self._body.is_eof():
            # The parser holds some of the body back; aiohttp would take what it has read for all.
            self._body.set_exception(aiohttp.ClientPayloadError("lost while the body waited for its reader"))
        super().connection_lost(exc)

    def _parse_ahead(self, pieces: int = sys.maxsize) -> None:
        while self._ahead and pieces and not self._is_full and self.transport is not None:
            size = self._next_piece()
            if not size:
                break
            if not self._budget.is_open():
                break
            self._parse(self._ahead.take(size))
            pieces -= 1
        self._wait_or_read_on()

    def _wait_or_read_on(self) -> None:
        if self.transport is None or self._is_full:
            return
        if self._ahead and self._next_piece():
            self._forget_pace()
            self._stop_read_timer()
            self._waits_for_turn = True
            self._budget.wait(self)
            self._pause_socket()
        elif self._is_paused and not self.transport.is_closing():
            self._is_paused = False
            self.transport.resume_reading()

    def _stop_read_timer(self) -> None:
        """Let aiohttp wait until the next piece is parsed; that starts the timer again."""
        timeout_s, self.read_timeout = self.read_timeout, None
        self.start_timeout()
        self.read_timeout = timeout_s

    def _pause_socket(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self._is_paused = True
            self.transport.pause_reading()

    def _next_piece(self) -> int:
        """Return how many of the bytes ahead to parse next; 0 if more have to arrive first."""
        if self._body is None:
            return self._next_head()
        if self._is_chunked:
            return min(_MAX_CHUNKED_PIECE, _CHUNKED_PIECE + self._body.total_bytes)
        return _PLAIN_PIECE if self._length is None else min(_PLAIN_PIECE, self._length - self._body_bytes)

    def _next_head(self) -> int:
        end = self._ahead.end_of_head()
        if not self._ahead.is_http():
            self._refuse(AnswerRefusedError("in another protocol than HTTP/1"))
        elif self._head_bytes + (end or len(self._ahead)) > MAX_HEAD_BYTES:
            self._refuse(AnswerRefusedError(f"with more than {MAX_HEAD_BYTES} bytes of headers"))
        elif self._heads > MAX_INTERIM_ANSWERS:
            self._refuse(AnswerRefusedError(f"with more than {MAX_INTERIM_ANSWERS} interim answers"))
        elif not end:
            self.start_timeout()
        else:
            return end
        return 0

    def _parse(self, piece: bytes) -> None:
        # aiohttp's parser resumes the connection whenever a body ends, in the midst of its work.
        self._is_parsing = True
        if self._body is None:
            self._heads += 1
            self._head_bytes += len(piece)
            self._budget.charge(len(piece) * HEAD_BYTE_S)
            super().data_received(tolerated(piece))
        else:
            self._body_bytes += len(piece)
            super().data_received(piece)
            self._budget.charge(len(piece) * BYTE_S)
            self._check_body(self._body)
        self._is_parsing = False
        if self._ahead and self._is_answered:
            self.force_close()
            self._ahead.clear()

    def _check_body(self, body: StreamReader) -> None:
        """Charge and refuse what is around chunks: sizes, extensions, trailers."""
        if self._is_chunked and not self._is_full:  # while it is full, the parser holds some of the body back
            framing_bytes = self._body_bytes - body.total_bytes
            self._budget.charge((framing_bytes - self._framing_bytes) * FRAMING_BYTE_S)
            self._framing_bytes = framing_bytes
        if self.exception() is not None and not body.is_eof():
            # aiohttp raises it where a head is awaited, and would leave the reader of the body waiting.
            self._ahead.clear()
            body.set_exception(aiohttp.ClientPayloadError("broken framing"))
        elif self._framing_bytes > MAX_FRAMING_BYTES + FRAMING_SHARE * body.total_bytes:
            self._refuse(AnswerRefusedError("in chunks that are too small for what is sent around them"))

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Take a parsed head: an interim answer ends here, a final one says how its body is framed."""
        message, body = data
        if message.code == _SWITCHING_PROTOCOLS:
            self._refuse(AnswerRefusedError("in another protocol than HTTP/1"))
        elif message.code not in _INTERIM:
            length = message.headers.get("Content-Length", "")
            self._body = body
            self._is_chunked = message.chunked
            is_given = length.isdecimal() and not message.chunked
            # The parser bounds the value, and not its zeros: Python reads no more than 4,300 digits.
            self._length = int(length.lstrip("0") or "0") if is_given else None
            super().feed_data(data, size)

    def _refuse(self, error: aiohttp.ClientError) -> None:
        """End the connection; the task that waits for the answer gets the error."""
        self._ahead.clear()
        self.set_exception(error)
        if self._body is not None and not self._body.is_eof():
            self._body.set_exception(error)
        if self.transport is not None:
            self.transport.abort()


class BoundedConnector(aiohttp.TCPConnector):
    """Makes connections that are bounded; takes what aiohttp's connector takes."""

    def __init__(self, make_connection: Callable[[], BoundedConnection], **options: Any) -> None:
        super().__init__(**options)
        # aiohttp has no public way to choose the protocol; tests of floods notice if this one has gone.
        self._factory = make_connection  # type: ignore[assignment] # declared as the partial that it is by default
