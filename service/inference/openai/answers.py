"""Pure: what a server with OpenAI's API answered → whether it is well, and the error that it stands for."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

import orjson

from service.errors import ModstreamError
from service.inference.errors import EngineConfigurationError, EngineFailedError, EngineRejectedError

Health = Literal["well", "busy", "ill"]
"""What an answer says of its server: it works; it works and has too much to do; it does not work, or not for us."""

_BUSY = {HTTPStatus.TOO_MANY_REQUESTS}
_TRANSIENT = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, *_BUSY}
_REFUSES_US = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_SERVER_ERRORS = 500
_CLIENT_ERRORS = 400

_MESSAGE_CHARACTERS = 200
# What a message repeats of a request, which holds a caption and an image: quoted texts, and words as only data has.
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\S{48,}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    server: str
    """Host and port."""
    status: int
    body: bytes

    @property
    def succeeded(self) -> bool:
        """Whether the body is what was asked for."""
        return self.status == HTTPStatus.OK

    @property
    def health(self) -> Health:
        """What it says of its server."""
        if self.status in _BUSY:
            return "busy"
        refused_request = self.status >= _CLIENT_ERRORS and isinstance(self.failure(), EngineRejectedError)
        return "well" if self.succeeded or refused_request else "ill"

    def json(self) -> Mapping[str, Any]:
        """Return the object in the body; raise `EngineFailedError` if there is none."""
        try:
            document = orjson.loads(self.body)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise EngineFailedError(detail=f"{self.server} answered something else than a JSON object")
        return document

    def failure(self) -> ModstreamError:
        """Return the error that an answer other than a success stands for."""
        told = f"{self.server} answered {self.status}{_message(self.body)}"
        if self.status in _REFUSES_US:
            return EngineConfigurationError(setting="engine.openai.api_key", detail=f"the key is refused: {told}")
        if self.status == HTTPStatus.NOT_FOUND:
            return EngineConfigurationError(setting="engine.openai.model", detail=f"it is not served there: {told}")
        if self.status < _CLIENT_ERRORS:
            return EngineConfigurationError(setting="engine.openai.base_urls", detail=f"no OpenAI API: {told}")
        if self.status in _TRANSIENT or (self.status >= _SERVER_ERRORS and self.status != HTTPStatus.NOT_IMPLEMENTED):
            return EngineFailedError(detail=told)
        return EngineRejectedError(detail=told)


def _message(body: bytes) -> str:
    """Return the message of an error object after a colon, without what it quotes; nothing if there is none."""
    try:
        message = orjson.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f": {_QUOTED.sub('…', str(message))[:_MESSAGE_CHARACTERS]}"
