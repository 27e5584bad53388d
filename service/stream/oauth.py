"""Tokens for OAUTHBEARER by OAuth 2.0's client credentials (RFC 6749, section 4.4)."""

import asyncio
import time
from collections.abc import Callable

import aiohttp
import orjson
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError

from service.kafka_settings import OAuthSettings

_TIMEOUT_S = 10.0
"""For one token: under the time that brokers give a connection to sign in."""

_RENEWED_AT = 0.8
"""Share of a token's life after which a new one is asked for, so that none expires on its way to a broker."""


class ClientCredentials(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka ships no types
    """Asks for a token, and for the next one before it expires; all connections share it."""

    def __init__(self, settings: OAuthSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._token = ""
        self._renew_at_s = clock()
        self._asking = asyncio.Lock()

    async def token(self) -> str:
        """Return a token that is valid; raises aiokafka's `AuthenticationFailedError`, which it can handle."""
        async with self._asking:
            if self._clock() >= self._renew_at_s:
                self._token, life_s = await self._ask()
                self._renew_at_s = self._clock() + _RENEWED_AT * life_s
        return self._token

    async def _ask(self) -> tuple[str, float]:
        settings = self._settings
        secret = settings.client_secret.get_secret_value() if settings.client_secret else ""
        form = {"grant_type": "client_credentials"} | ({"scope": settings.scope} if settings.scope else {})
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S)) as session,
                session.post(
                    settings.token_url or "",
                    data=form,
                    headers={"Authorization": aiohttp.encode_basic_auth(settings.client_id or "", secret)},
                ) as response,
            ):
                response.raise_for_status()
                answer = orjson.loads(await response.read())
                return str(answer["access_token"]), float(answer["expires_in"])
        except (aiohttp.ClientError, OSError, TimeoutError, KeyError, TypeError, ValueError) as error:
            # The text may hold the URL with its query; the kind of error says enough.
            raise AuthenticationFailedError(f"no token from kafka.oauth.token_url: {type(error).__name__}") from error
