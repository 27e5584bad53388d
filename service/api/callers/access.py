"""Who calls the API, and what the caller may do."""

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from schemas.image_uploaded import DEFAULT_TENANT
from service.api.callers.access_errors import (
    ForeignPageError,
    NoCredentialsError,
    ScopeMissingError,
    TenantDeniedError,
    TokenInvalidError,
    UnknownKeyError,
)
from service.api.callers.api_keys import ApiKeys
from service.api.callers.failures import FailureLimit
from service.api.callers.rate_limits import NO_LIMITS, UNLIMITED, CallerLimits, Limits, RateLimits
from service.api.callers.scopes import SCOPES, Scope
from service.api.callers.tokens import Tokens
from service.settings.api import is_loopback

_BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)
_KEY_HEADERS = ("api-key", "x-api-key")
"""Where clients made for Azure and others send a key."""
_DOTS_OF_A_TOKEN = 2
"""Header, payload and signature of a JSON Web Token; a key has none."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller whose key or token was accepted."""

    key_id: str
    """Names the key in logs."""
    tenant: str
    scopes: frozenset[Scope]
    limits: CallerLimits = UNLIMITED

    def require(self, scope: Scope) -> None:
        """Return if the caller has a scope; raises `ScopeMissingError`."""
        if scope not in self.scopes:
            raise ScopeMissingError(scope=scope, key_id=self.key_id, scopes=", ".join(sorted(self.scopes)) or "none")

    def tenant_for(self, named: str | None) -> str:
        """Return the tenant of a request that names one, or none; raises `TenantDeniedError` for a foreign one."""
        if named is None or named == self.tenant:
            return self.tenant
        if "tenants" not in self.scopes:
            raise TenantDeniedError(param="tenant", key_id=self.key_id)
        return named

    def take(self, images: int = 1, *, requests: int = 1) -> None:
        """Count requests and images towards the caller's rate limits; raises `RateLimitedError` and counts nothing.

        A request counts once its caller is known, whatever becomes of it. Its images follow with `requests=0`.
        """
        self.limits.take(self.key_id, requests=requests, images=images)


ANYONE = Caller("none", DEFAULT_TENANT, frozenset(SCOPES))
"""Every caller where `api.authentication` is `none`."""


class Access:
    """Determines who sent a request."""

    def __init__(
        self,
        keys: Callable[[], ApiKeys] | None,
        tokens: Tokens | None = None,
        *,
        limits: Limits = NO_LIMITS,
        origins: Collection[str] = (),
        warnings: Sequence[Callable[[], list[str]]] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`keys` returns the present keys; without it every request is accepted. `limits` are those of tokens,
        and `origins` those of other sites' pages that may call without a key."""
        self._keys = keys
        self._tokens = tokens
        self._token_limits = limits
        self._origins = origins
        self._warnings = warnings
        self._now = now
        self._limits = RateLimits(clock)
        self._failures = FailureLimit(clock)

    def warnings(self) -> list[str]:
        """Return what is wrong with the sources of keys, for /health."""
        return [warning for source in self._warnings for warning in source()]

    async def authenticate(self, headers: Mapping[str, str], *, address: str = "") -> Caller:
        """Return the caller by the headers, whose names are found in any case.

        `address` is the caller's: failures are counted by it. Raises `UnauthenticatedError`, `TooManyFailuresError`, or
        `TokensUnavailableError`.
        """
        if self._keys is None:
            check_is_local(headers, self._origins)
            return ANYONE
        text = _credentials(headers)
        if self._tokens is not None and text.count(".") == _DOTS_OF_A_TOKEN:
            return await self._by_token(self._tokens, text, address)
        return self._by_key(self._keys(), text, address)

    def _by_key(self, keys: ApiKeys, text: str, address: str) -> Caller:
        try:
            entry = keys.find(text, now=self._now())
        except UnknownKeyError:
            self._count_failure(address)
            raise
        limits = self._limits.of(entry.id, Limits(entry.requests_per_s, entry.images_per_s, entry.burst))
        return Caller(entry.id, entry.tenant, frozenset(entry.scopes), limits)

    async def _by_token(self, tokens: Tokens, text: str, address: str) -> Caller:
        try:
            identity = await tokens.identify(text)
        except TokenInvalidError:
            self._count_failure(address)
            raise
        # No id of a key has a colon.
        name = f"jwt:{identity.subject}"
        return Caller(name, identity.tenant, identity.scopes, self._limits.of(name, self._token_limits))

    def _count_failure(self, address: str) -> None:
        self._failures.check(address)
        self._failures.count(address)


def check_is_local(headers: Mapping[str, str], origins: Collection[str] = ()) -> None:
    """Raise `ForeignPageError` for a request that a page of another site makes a browser of this machine send.

    Without keys every program of the machine may call. Browsers are programs of strangers as well: they say by `Origin`
    whose page sends a request, and by `Host` under which name, which a stranger's name server may have led here.
    `origins` are those of other pages that may call.
    """
    host = headers.get("host", "")
    origin = headers.get("origin", f"http://{host}")
    try:
        is_own_page = origin in origins or urlsplit(origin).netloc == host
        is_local = is_loopback(urlsplit(f"//{host}").hostname or "") and is_own_page
    except ValueError:  # half of an IPv6 address
        is_local = False
    if not is_local:
        raise ForeignPageError()


def _credentials(headers: Mapping[str, str]) -> str:
    """Return the key or token of a request. It is never read from the URL, which proxies log."""
    if found := _BEARER.fullmatch(headers.get("authorization", "")):
        return found[1]
    for name in _KEY_HEADERS:
        if text := headers.get(name, "").strip():
            return text
    raise NoCredentialsError()
