"""Pure: what a server with OpenAI's API answered → whether it is well, and the error that it stands for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import orjson

from service.errors import ModstreamError
from service.inference.errors import EngineConfigurationError, EngineFailedError, EngineRejectedError
from service.inference.openai.errors import ServerBusyError

_BUSY = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_TRANSIENT = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY}
_REFUSES_US = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_SERVER_ERRORS = 500
_CLIENT_ERRORS = 400

_MESSAGE_CHARACTERS = 200
_MAX_DIGITS = 9
"""Of a pause in seconds; the caller bounds it further."""
# What a message repeats of a request, which holds a caption and an image: quoted texts, and words as only data has.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\S{48,}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    server: str
    """Host and port."""
    status: int
    body: bytes
    retry_after: str | None = None
    """The header of that name."""

    @property
    def succeeded(self) -> bool:
        """Whether the body is what was asked for."""
        return self.status == HTTPStatus.OK

    @property
    def names_nothing(self) -> bool:
        """Whether the server has no such path or model."""
        return self.status == HTTPStatus.NOT_FOUND

    def json(self) -> Mapping[str, Any]:
        """Return the object in the body; raise `EngineFailedError` if there is none."""
        try:
            document = orjson.loads(self.body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise EngineFailedError(detail=f"{self.server} answered something else than a JSON object")
        return document

    def failure(self) -> ModstreamError:
        """Return the error that an answer other than a success stands for."""
        told = f"{self.server} answered {self.status}{_message(self.body)}"
        if self.status in _BUSY:
            return ServerBusyError(detail=told, asked_pause_s=_seconds(self.retry_after))
        if self.status in _REFUSES_US:
            return EngineConfigurationError(setting="engine.openai.api_key", detail=f"the key is refused: {told}")
        if self.status == HTTPStatus.NOT_FOUND:
            return EngineConfigurationError(setting="engine.openai.model", detail=f"it is not served there: {told}")
        if self.status < _CLIENT_ERRORS:
            return EngineConfigurationError(setting="engine.openai.base_urls", detail=f"no OpenAI API: {told}")
        if self.status in _TRANSIENT or (self.status >= _SERVER_ERRORS and self.status != HTTPStatus.NOT_IMPLEMENTED):
            return EngineFailedError(detail=told)
        return EngineRejectedError(detail=told)


def _seconds(retry_after: str | None) -> float | None:
    """Return what a Retry-After header asks for, a number of seconds or a date; None for anything else."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:_MAX_DIGITS])
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return (when - datetime.now(UTC)).total_seconds()


def _message(body: bytes) -> str:
    """Return the message of an error object after a colon, without what it quotes; nothing if there is none."""
    try:
        message = orjson.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f": {_QUOTED.sub('…', str(message))[:_MESSAGE_CHARACTERS]}"
