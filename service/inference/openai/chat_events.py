"""Pure: the server-sent events of a streamed chat completion, read as they arrive."""

from collections.abc import Iterator, Mapping

import orjson

from service.inference.errors import EngineFailedError
from service.inference.openai.answers import error_message
from service.inference.openai.completions import usage
from service.inference.openai.errors import AnswerBrokenOffError

_DATA = b"data:"
_DONE = b"[DONE]"
_END = b"\n\n"

_MAX_EVENT_BYTES = 256 * 1024
"""Of one event: tokens that came together, with their likely alternatives."""


class Events:
    """Reads events, keeps the ones to pass on, and finds the count of tokens among them."""

    def __init__(self, *, include_usage: bool) -> None:
        self._include_usage = include_usage
        self._buffer = b""
        self._is_done = False
        self.usage: Mapping[str, int | None] = {}
        """Token counts, once the server has sent them."""

    def read(self, piece: bytes, server: str) -> Iterator[bytes]:
        """Yield the events that a piece completes; raises `EngineFailedError` for what is none, or an error."""
        self._buffer = (self._buffer + piece).replace(b"\r\n", b"\n")
        *events, self._buffer = self._buffer.split(_END)
        if len(self._buffer) > _MAX_EVENT_BYTES:
            raise EngineFailedError(detail=f"{server} sent an event of more than {_MAX_EVENT_BYTES} bytes")
        for event in events:
            data = b"\n".join(_data_of(line) for line in event.split(b"\n") if line.startswith(_DATA))
            if data and not self._is_done and self._is_passed_on(data, server):
                yield _DATA + b" " + data + _END

    def end(self, server: str) -> None:
        """Raise `AnswerBrokenOffError` if the answer ended before its last event."""
        if not self._is_done:
            raise AnswerBrokenOffError(detail=f"{server} ended a streamed answer early")

    def _is_passed_on(self, data: bytes, server: str) -> bool:
        if data == _DONE:
            self._is_done = True
            return True
        try:
            chunk = orjson.loads(data)
        except ValueError:
            chunk = None
        if not isinstance(chunk, dict):
            raise EngineFailedError(detail=f"{server} sent an event that is no JSON object")
        if "choices" not in chunk:
            detail = error_message(chunk) or "no choices"
            raise EngineFailedError(detail=f"{server} broke a streamed answer off: {detail}")
        if not chunk["choices"] and chunk.get("usage"):
            self.usage = usage(chunk)
            return self._include_usage
        return True


def _data_of(line: bytes) -> bytes:
    return line.removeprefix(_DATA).removeprefix(b" ")
