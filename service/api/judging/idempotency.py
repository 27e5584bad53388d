"""Answers that are given once: a request that is sent again with its `Idempotency-Key` gets the first one's answer."""

import asyncio
import hashlib
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from service.api.callers.access import Caller
from service.api.errors import ApiError
from service.api.request_log import facts_of
from service.settings.api import IdempotencySettings

HEADER = "idempotency-key"
REPLAYED = "idempotent-replayed"
MAX_KEY_CHARACTERS = 255

PARAMETER: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARACTERS, "pattern": "^[!-~]+$"},
    "description": "A text of your choice that no other request has, such as a UUID. A request that is sent again with"
    " it gets the answer of the first one, and judges nothing.",
}
"""The header in the OpenAPI document."""

_DECIDING_HEADERS = ("prefer", "modstream-policy")
_KEY = re.compile(rf"[!-~]{{1,{MAX_KEY_CHARACTERS}}}")
_BOUNDARY = re.compile(r"boundary=\"?([^\";]+)")
_ENTRY_BYTES = 1024
"""What CPython takes for an answer besides its body."""
_THREAD_BYTES = 256 * 1024
"""A shorter body is hashed in less time than a thread takes."""


class IdempotencyKeyError(ApiError):
    """The key cannot be one."""

    status = HTTPStatus.BAD_REQUEST
    reason = "api.idempotency_key_invalid"
    message = "The header Idempotency-Key needs 1 to {limit} visible ASCII characters, such as a UUID"


class IdempotencyMismatchError(ApiError):
    """Another request came with the key before."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    reason = "api.idempotency_mismatch"
    message = "Another request was sent with this Idempotency-Key. Use a key of its own for each request"


class AnswerKey(NamedTuple):
    """Whose key it is, and the key."""

    key_id: str
    tenant: str
    text: str


@dataclass(slots=True)
class _Entry:
    """The first request with a key, and its answer once there is one."""

    fingerprint: bytes
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    answer: Response | None = None
    expires_at_s: float = 0.0

    @property
    def size_bytes(self) -> int:
        """What the entry takes in memory."""
        return _ENTRY_BYTES + len(bytes(self.answer.body) if self.answer is not None else b"")


class GivenAnswers:
    """Keeps answers by key, within bounds of number, bytes and time. A process knows its own answers alone."""

    def __init__(self, settings: IdempotencySettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._in_hand: dict[AnswerKey, _Entry] = {}
        self._kept: OrderedDict[AnswerKey, _Entry] = OrderedDict()
        """The oldest first."""
        self.kept_bytes = 0

    def __len__(self) -> int:
        """Return the number of answers that are kept."""
        return len(self._kept)

    async def answer(
        self,
        key: AnswerKey,
        fingerprint: bytes,
        work: Callable[[], Awaitable[Response]],
        *,
        is_final: Callable[[Response], bool],
    ) -> Response:
        """Return the answer that was given to the key, or that of `work`, which is kept if it is final.

        Those that come while the first one is in hand wait for its answer. If that request is cancelled or raises an
        error, one of them takes its place. Raises `IdempotencyMismatchError`, and what `work` raises.
        """
        self._expire()
        while (entry := self._kept.get(key) or self._in_hand.get(key)) is not None:
            if entry.fingerprint != fingerprint:
                raise IdempotencyMismatchError()
            await entry.ended.wait()
            if entry.answer is not None:
                return _replayed(entry.answer)
        entry = self._in_hand[key] = _Entry(fingerprint)
        try:
            entry.answer = await work()
        finally:
            del self._in_hand[key]
            entry.ended.set()
        if is_final(entry.answer):
            self._keep(key, entry)
        return entry.answer

    def _keep(self, key: AnswerKey, entry: _Entry) -> None:
        entry.expires_at_s = self._clock() + self._settings.keep_s
        self._kept[key] = entry
        self.kept_bytes += entry.size_bytes
        while len(self._kept) > self._settings.max_keys or self.kept_bytes > self._settings.max_bytes:
            self._drop_oldest()

    def _expire(self) -> None:
        while self._kept and next(iter(self._kept.values())).expires_at_s <= self._clock():
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, entry = self._kept.popitem(last=False)
        self.kept_bytes -= entry.size_bytes


def _replayed(answer: Response) -> Response:
    response = Response(answer.body, answer.status_code)
    response.raw_headers = [*answer.raw_headers, (REPLAYED.encode(), b"true")]
    return response


async def answered_once(
    answers: GivenAnswers, request: Request, caller: Caller, work: Callable[[], Awaitable[Response]]
) -> Response:
    """Return the answer of `work`, or the earlier one if the request has an idempotency key that was used before.

    Failures that may pass are not kept: the same request may succeed later. Raises `IdempotencyKeyError`,
    `IdempotencyMismatchError`, and what `work` raises.
    """
    text = request.headers.get(HEADER)
    if text is None:
        return await work()
    if not _KEY.fullmatch(text):
        raise IdempotencyKeyError(limit=MAX_KEY_CHARACTERS)
    facts = facts_of(request.scope)

    def is_final(answer: Response) -> bool:
        return not (facts.may_pass or may_pass(answer.status_code))

    key = AnswerKey(caller.key_id, caller.tenant, text)
    return await answers.answer(key, await _fingerprint(request), work, is_final=is_final)


def may_pass(status: int) -> bool:
    """Return whether a request that failed with a status may succeed later."""
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS


async def _fingerprint(request: Request) -> bytes:
    """Return a hash of all that the answer depends on, apart from the caller."""
    kind = request.headers.get("content-type", "")
    body = await request.body()
    if found := _BOUNDARY.search(kind):  # clients choose another one each time
        boundary = found[1].encode("latin-1")
        kind, body = kind.replace(found[1], ""), body.replace(b"--" + boundary, b"--")
    named = (request.url.path, request.url.query, kind, *(request.headers.get(name, "") for name in _DECIDING_HEADERS))
    head = "\n".join(named).encode("utf-8", "surrogateescape")
    if len(body) < _THREAD_BYTES:
        return _hash(head, body)
    return await asyncio.to_thread(_hash, head, body)


def _hash(head: bytes, body: bytes) -> bytes:
    digest = hashlib.sha256(head)
    digest.update(b"\0")
    digest.update(body)
    return digest.digest()
