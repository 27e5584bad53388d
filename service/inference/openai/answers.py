"""Pure: whether a server's response shows that it works, and the error for other responses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import orjson

from service.core.errors import ModstreamError
from service.http.retry_after import retry_after_s
from service.inference.errors import EngineConfigurationError, EngineFailedError, EngineRejectedError
from service.inference.openai.errors import ServerBusyError

_BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_TRANSIENT = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY}
_REFUSES_US = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_SERVER_ERRORS = 500
_CLIENT_ERRORS = 400

_MAX_STRUCTURE = 131_072
"""Commas and opening brackets of an answer: parsing as many values takes 45 ms. The likely tokens of the longest list
of tags have 80,000."""

_MESSAGE_CHARACTERS = 200
_MAX_ERROR_BYTES = 64 * 1024
"""Largest answer (bytes) whose message is read. Searching a larger one would block the event loop."""
# What a message repeats of a request, which holds a caption and an image: quoted texts, and words as only data has.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\S{48,}")


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of a server's response."""

    server: str
    """Host and port."""
    status: int
    body: bytes
    retry_after: str | None = None
    """The header of that name."""

    @property
    def succeeded(self) -> bool:
        """Whether the response has the requested body."""
        return self.status == HTTPStatus.OK

    @property
    def names_nothing(self) -> bool:
        """Whether the server has no such path or model."""
        return self.status == HTTPStatus.NOT_FOUND

    def json(self) -> Mapping[str, Any]:
        """Return the JSON object in the body; raise `EngineFailedError` if there is none."""
        if sum(self.body.count(sign) for sign in (b",", b"[", b"{")) > _MAX_STRUCTURE:
            raise EngineFailedError(detail=f"{self.server} answered with more values than any answer has")
        try:
            document = orjson.loads(self.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise EngineFailedError(detail=f"{self.server} answered something else than a JSON object")
        return document

    def failure(self) -> ModstreamError:
        """Return the error for a response that is not a success."""
        detail = f"{self.server} answered {self.status}{_message(self.body)}"
        if self.status in _BUSY:
            return ServerBusyError(detail=detail, asked_pause_s=retry_after_s(self.retry_after, datetime.now(UTC)))
        if self.status in _REFUSES_US:
            return EngineConfigurationError(setting="engine.openai.api_key", detail=f"the key is refused: {detail}")
        if self.status == HTTPStatus.NOT_FOUND:
            return EngineConfigurationError(setting="engine.openai.model", detail=f"it is not served there: {detail}")
        if self.status < _CLIENT_ERRORS:
            return EngineConfigurationError(setting="engine.openai.base_urls", detail=f"no OpenAI API: {detail}")
        if self.status in _TRANSIENT or (self.status >= _SERVER_ERRORS and self.status != HTTPStatus.NOT_IMPLEMENTED):
            return EngineFailedError(detail=detail)
        return EngineRejectedError(detail=detail)


def _message(body: bytes) -> str:
    """Return the message of an error object after a colon, without what it quotes; nothing if there is none."""
    if len(body) > _MAX_ERROR_BYTES:
        return ""
    try:
        message = error_message(orjson.loads(body))
    except ValueError:
        return ""
    return f": {message}" if message else ""


def error_message(document: object) -> str:
    """Return the message of an error object, without what it quotes; empty if there is none."""
    error = document.get("error") if isinstance(document, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return _QUOTED.sub("…", message)[:_MESSAGE_CHARACTERS] if isinstance(message, str) else ""
