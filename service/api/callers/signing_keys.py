"""The signing keys of an identity provider, kept in memory and read again in the background."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import jwt
import structlog

from service.api.callers.access_errors import TokenInvalidError, TokensUnavailableError
from service.api.callers.provider import KeySet, Provider, ProviderError
from service.settings.api import JwtSettings, SigningAlgorithm

log = structlog.get_logger(__name__)

MIN_PAUSE_S = 30.0
"""Between two readings that requests bring about: tokens with invented key ids cost the provider no more."""

_TIMEOUT_S = 5.0
MAX_WAITING = 64
"""Requests that wait for one reading; strangers can be among them."""


class SigningKeys:
    """Finds the key that signed a token.

    One task reads the keys: at its start, every `api.jwt.refresh_s`, and for a token with an unknown key, such as after
    a rotation. Requests wait for a reading and never do it, so a client that leaves aborts nothing. While the provider
    does not answer, the keys that were read last stay good.
    """

    def __init__(
        self, settings: JwtSettings, *, clock: Callable[[], float] = time.monotonic, timeout_s: float = _TIMEOUT_S
    ) -> None:
        """`timeout_s` bounds one reading."""
        self._issuer = settings.issuer
        self._refresh_s = settings.refresh_s
        self._provider = Provider(settings, timeout_s=timeout_s)
        self._timeout_s = timeout_s
        self._clock = clock
        self._keys: KeySet = {}
        self._problem: str | None = None
        self._wanted = asyncio.Event()
        self._is_reading = False
        self._ended = asyncio.Event()
        """Set at the end of the present or next reading."""
        self._next_at_s = clock()
        self._waiting = 0

    def warnings(self) -> list[str]:
        """Return what is wrong with the provider, for /health."""
        if self._problem is None:
            return []
        kept = "the keys read before stay good" if self._keys else "tokens are refused"
        # Without the problem: /health needs no key.
        return [f"the signing keys of api.jwt.issuer cannot be read, {kept}: see access.no_signing_keys in the log"]

    async def find(self, kid: str | None, algorithm: SigningAlgorithm) -> jwt.PyJWK:
        """Return the key of a token.

        Raises `TokenInvalidError`, or `TokensUnavailableError` while there are no keys or too many requests wait.
        """
        key = self._match(kid, algorithm)
        if key is None and await self._was_read_again():
            key = self._match(kid, algorithm)
        if key is None and not self._keys:
            raise TokensUnavailableError(retry_after_s=max(1.0, self._next_at_s - self._clock()))
        if key is None:
            raise TokenInvalidError(detail="its signing key is none of those that the issuer publishes")
        return key

    async def watch(self) -> None:
        """Read the keys now and again."""
        while True:
            await self.refresh()
            pause_s = self._refresh_s if self._problem is None else min(self._refresh_s, MIN_PAUSE_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._wanted.wait()

    async def refresh(self) -> None:
        """Read the keys once."""
        self._wanted.clear()
        self._is_reading = True
        self._next_at_s = self._clock() + MIN_PAUSE_S
        try:
            self._keys, self._problem = await self._provider.read_keys(), None
            log.debug("access.signing_keys_read", keys=len(self._keys))
        except ProviderError as error:
            self._problem = str(error)
            log.warning("access.no_signing_keys", issuer=self._issuer, detail=self._problem, kept=len(self._keys))
        finally:
            self._is_reading = False
            ended, self._ended = self._ended, asyncio.Event()
            ended.set()

    def _match(self, kid: str | None, algorithm: SigningAlgorithm) -> jwt.PyJWK | None:
        """Return the key with an id; for a token without one the only key of its algorithm."""
        if kid is not None:
            return self._keys.get((kid, algorithm))
        found = [key for (_, signs), key in self._keys.items() if signs == algorithm]
        return found[0] if len(found) == 1 else None

    async def _was_read_again(self) -> bool:
        """Wait for a reading that goes on or may begin; return whether there was one."""
        if not self._is_reading and self._clock() < self._next_at_s:
            return False
        if self._waiting >= MAX_WAITING:
            raise TokensUnavailableError(retry_after_s=1.0)
        ended = self._ended
        if not self._is_reading:
            self._wanted.set()
        self._waiting += 1
        try:
            async with asyncio.timeout(2 * self._timeout_s):
                return await ended.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
