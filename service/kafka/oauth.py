"""Tokens for OAUTHBEARER by OAuth 2.0's client credentials (RFC 6749, section 4.4)."""

import asyncio
import math
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote_plus

import aiohttp
import orjson
import structlog
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError

from service.settings.kafka import OAuthSettings

log = structlog.get_logger(__name__)

_TIMEOUT_S = 10.0
"""Time limit for one token, below the time in which brokers require authentication."""

_MAX_ANSWER_BYTES = 256 * 1024
"""Tokens have a few kilobytes, those with hundreds of groups in them some tens."""

_RENEWED_AT = 0.8
"""Share of a token's life after which a new one is asked for, so that none expires on its way to a broker."""

_DEFAULT_LIFE_S = 300.0
"""Where the answer has no `expires_in`, which is optional: shorter than servers let tokens live."""

_PAUSE_S = 2.0
"""After a failure: the connections of all partitions ask at once."""

_MAX_LIFE_S = 86_400.0
"""A new token is asked for at least once a day, whatever the answer says."""

_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
"""What a bearer token is made of (RFC 6750, section 2.1)."""

_ERROR_CODE = re.compile(r"[A-Za-z0-9_.\-]{1,60}")
"""RFC 6749 allows more; other text is not repeated in messages."""


class NoTokenError(AuthenticationFailedError):  # type: ignore[misc]  # aiokafka ships no types
    """The authorization server returned no usable token. aiokafka handles errors of this kind."""


class _Token(NamedTuple):
    text: str
    life_s: float


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc]  # as above
    """Requests tokens, the next one before the present one expires; all connections share it."""

    def __init__(
        self,
        settings: OAuthSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._timeout_s = timeout_s
        self._token = ""
        self._ask_at_s = clock()
        self._expires_at_s = clock()
        self._asking = asyncio.Lock()
        self.failure: NoTokenError | None = None
        """Why the last request brought no token; None if it did."""

    async def token(self) -> str:
        """Return a token that is valid; raises `NoTokenError`."""
        async with self._asking:
            if self._clock() >= self._ask_at_s:
                await self._renew()
            if self.failure and self._clock() >= self._expires_at_s:
                raise NoTokenError(*self.failure.args) from self.failure
        return self._token

    async def _renew(self) -> None:
        """Ask for a token; after a failure not again for a while, and the old one serves until it expires."""
        try:
            token = await self._ask()
        except NoTokenError as error:
            log.warning("kafka.no_token", detail=str(error))
            self.failure, self._ask_at_s = error, self._clock() + _PAUSE_S
            return
        now_s = self._clock()
        self.failure, self._token = None, token.text
        self._ask_at_s, self._expires_at_s = now_s + _RENEWED_AT * token.life_s, now_s + token.life_s

    async def _ask(self) -> _Token:
        settings = self._settings
        secret = settings.client_secret.get_secret_value() if settings.client_secret else ""
        form = {"grant_type": "client_credentials"} | ({"scope": settings.scope} if settings.scope else {})
        try:
            async with (
                aiohttp.ClientSession(
                    timeout=aiohttp.ClientTimeout(total=self._timeout_s), auto_decompress=False
                ) as session,
                session.post(
                    settings.token_url or "",
                    data=form,
                    headers={
                        "Authorization": _basic(settings.client_id or "", secret),
                        "Accept": "application/json",
                        "Accept-Encoding": "identity",  # what is decompressed cannot be bounded as it comes
                    },
                    allow_redirects=False,  # the credentials are for this address alone
                ) as response,
            ):
                body = await _bounded(response)
        except TimeoutError as error:
            raise NoTokenError(f"no answer within {self._timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The text may hold the URL with its query; the kind of error says enough.
            raise NoTokenError(type(error).__name__) from error
        return _read(response.status, response.content_type, body)


def _basic(client_id: str, secret: str) -> str:
    """Return the header of HTTP Basic; each part is form-encoded first (RFC 6749, section 2.3.1)."""
    return aiohttp.encode_basic_auth(quote_plus(client_id), quote_plus(secret))


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _MAX_ANSWER_BYTES:
            raise NoTokenError(f"the answer has more than {_MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def _read(status: int, content_type: str, body: bytes) -> _Token:
    """Pure: return the token of an answer; raises `NoTokenError`, without repeating what may be secret."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NoTokenError(f"the answer is no JSON (status {status}, {content_type})") from None
    if not isinstance(answer, dict):
        raise NoTokenError(f"the answer is no JSON object (status {status})")
    code = answer.get("error")
    if status != HTTPStatus.OK or code is not None:
        is_code = isinstance(code, str) and _ERROR_CODE.fullmatch(code)
        raise NoTokenError(f"refused with status {status}" + (f", error {code}" if is_code else ""))
    token = answer.get("access_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise NoTokenError("the answer's access_token is missing or no bearer token")
    return _Token(token, _life_s(answer.get("expires_in")))


def _life_s(expires_in: object) -> float:
    """Return the lifetime that an answer gives; some servers write the number as text."""
    if expires_in is None:
        return _DEFAULT_LIFE_S
    try:
        life_s = (
            math.nan
            if isinstance(expires_in, bool) or not isinstance(expires_in, int | float | str)
            else float(expires_in)
        )
    except (OverflowError, ValueError):
        life_s = math.nan
    if math.isnan(life_s):
        raise NoTokenError("the answer's expires_in is no number")
    if life_s <= 0:
        raise NoTokenError("the token has expired when it comes: its expires_in is not above 0")
    return min(life_s, _MAX_LIFE_S)
