"""API keys: their form, their hashes, and whether one is accepted.

A key has 256 random bits. There is nothing to guess it by, so a single SHA-256 protects it at rest as well as a slow
password hash would, and costs a request microseconds instead of a tenth of a second.
"""

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from schemas.base import Identifier, UtcTime
from schemas.image_uploaded import DEFAULT_TENANT
from service.api.callers.access_errors import KeyExpiredError, KeyRevokedError, UnknownKeyError
from service.api.callers.scopes import SCOPES, Scope

KEY_PATTERN = r"ms_([a-z0-9][a-z0-9-]{0,31})_([A-Za-z0-9_-]{43})"
"""Prefix, id, and 32 random bytes in base64url. Give it to scanners that look for secrets in repositories."""

_KEY = re.compile(KEY_PATTERN)
_RANDOM_BYTES = 32
_ID_CHARACTERS = 10
_ABSENT = "0" * 64
"""What a key with an unknown id is compared with, so that it takes as long."""


def _some(scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    if not scopes:
        raise PydanticCustomError("value_error", "a key needs a scope")
    return scopes


PerSecond = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]


class KeyEntry(BaseModel):
    """One key as in the file: everything but the key itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    """Names the key in logs."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the whole key, in hexadecimal: `printf %s KEY | sha256sum`."""
    tenant: Identifier
    """Tenant of all that the key's callers send."""
    scopes: Annotated[tuple[Scope, ...], AfterValidator(_some)]
    expires: UtcTime | None = None
    revoked: UtcTime | None = None
    """Since when the key is refused."""
    requests_per_s: PerSecond | None = None
    """Upper limit of requests to one process, on average; no limit when not set."""
    images_per_s: PerSecond | None = None
    """Upper limit of images sent to one process, on average; no limit when not set."""
    burst: Annotated[int, Field(gt=0, le=1_000_000)] | None = None
    """Requests, and images, that may come at once; as many as in one second when not set."""


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """The keys that are accepted, by id."""

    by_id: Mapping[str, KeyEntry]

    def _known_id(self, text: str) -> str:
        """Return the id in a key, right or wrong, if there is a key with it; else an empty text."""
        found = _KEY.fullmatch(text)
        return found[1] if found and found[1] in self.by_id else ""

    def find(self, text: str, *, now: datetime) -> KeyEntry:
        """Return the entry of a key; raises `UnknownKeyError`, `KeyRevokedError` or `KeyExpiredError`."""
        entry = self.by_id.get(self._known_id(text))
        is_right = hmac.compare_digest(sha256_of(text), entry.sha256 if entry else _ABSENT)
        if entry is None or not is_right:
            raise UnknownKeyError()
        if entry.revoked is not None and entry.revoked <= now:
            raise KeyRevokedError(key_id=entry.id, revoked=entry.revoked)
        if entry.expires is not None and entry.expires <= now:
            raise KeyExpiredError(key_id=entry.id, expired=entry.expires)
        return entry


class NewKey(NamedTuple):
    """A key that was just made: the only time that its text is known."""

    text: str
    entry: KeyEntry


def new_key(
    *,
    key_id: str | None = None,
    tenant: str = DEFAULT_TENANT,
    scopes: Sequence[Scope] = SCOPES,
    expires: datetime | None = None,
    requests_per_s: float | None = None,
    images_per_s: float | None = None,
    burst: int | None = None,
) -> NewKey:
    """Make a key from the operating system's random numbers; raises `ValidationError`."""
    key_id = _random_id() if key_id is None else key_id
    text = f"ms_{key_id}_{secrets.token_urlsafe(_RANDOM_BYTES)}"
    entry = KeyEntry(
        id=key_id,
        sha256=sha256_of(text),
        tenant=tenant,
        scopes=tuple(scopes),
        expires=expires,
        requests_per_s=requests_per_s,
        images_per_s=images_per_s,
        burst=burst,
    )
    return NewKey(text, entry)


def _random_id() -> str:
    # Letters alone: YAML reads some texts with digits as numbers.
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(_ID_CHARACTERS))


def sha256_of(text: str) -> str:
    """Return the hash by which a key is kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
