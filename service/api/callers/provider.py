"""Reads the signing keys that an identity provider publishes (OpenID Connect Discovery 1.0, RFC 7517)."""

import asyncio
from collections.abc import Iterator, Mapping
from http import HTTPStatus

import aiohttp
import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from service.settings.api import JwtSettings, SigningAlgorithm, is_secure_url

MAX_DOCUMENT_BYTES = 256 * 1024
"""A provider publishes a few keys of a kilobyte."""
MAX_KEYS = 100

_MIN_RSA_BITS = 2048
_DISCOVERY = "/.well-known/openid-configuration"

_ALGORITHMS: Mapping[tuple[str, str | None], tuple[SigningAlgorithm, ...]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
"""By `kty` and `crv`. Symmetric keys (`oct`) are missing: what is published is no secret."""

KeySet = Mapping[tuple[str | None, SigningAlgorithm], jwt.PyJWK]
"""Keys by `kid` and the one algorithm that each verifies."""


class ProviderError(Exception):
    """The identity provider gives no signing keys; the text is for logs."""


class Provider:
    """The documents of one identity provider, bounded in size and time."""

    def __init__(self, settings: JwtSettings, *, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s

    async def read_keys(self) -> KeySet:
        """Return the signing keys; raises `ProviderError`."""
        try:
            # Compressed documents could not be bounded as they come.
            async with asyncio.timeout(self._timeout_s), aiohttp.ClientSession(auto_decompress=False) as session:
                document = await _read_json(session, self._settings.jwks_url or await self._discovered(session))
        except TimeoutError as error:
            raise ProviderError(f"no answer within {self._timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ProviderError(type(error).__name__) from error
        return usable_keys(document, self._settings.algorithms)

    async def _discovered(self, session: aiohttp.ClientSession) -> str:
        issuer = self._settings.issuer or ""
        document = await _read_json(session, issuer.rstrip("/") + _DISCOVERY)
        if document.get("issuer") != issuer:
            raise ProviderError("the issuer of its openid-configuration is another than api.jwt.issuer")
        url = document.get("jwks_uri")
        if not isinstance(url, str) or not is_secure_url(url):
            raise ProviderError("the jwks_uri of its openid-configuration is no https URL")
        return url


def usable_keys(document: Mapping[str, object], allowed: tuple[SigningAlgorithm, ...]) -> KeySet:
    """Pure: return the keys of a JWK set that verify allowed algorithms; raises `ProviderError` if there are none."""
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise ProviderError("the answer is no JWK set: it has no list 'keys'")
    found = [each for entry in entries[:MAX_KEYS] if isinstance(entry, dict) for each in _keys_of(entry, allowed)]
    if not found:
        raise ProviderError(f"none of its {len(entries)} keys is for {', '.join(allowed)} (api.jwt.algorithms)")
    return dict(reversed(found))  # the first of two with one id


def _keys_of(
    entry: Mapping[str, object], allowed: tuple[SigningAlgorithm, ...]
) -> Iterator[tuple[tuple[str | None, SigningAlgorithm], jwt.PyJWK]]:
    kind, curve, kid = entry.get("kty"), entry.get("crv"), entry.get("kid")
    is_for_signatures = entry.get("use") in (None, "sig") and "d" not in entry  # `d` is of a private key
    if not is_for_signatures or not isinstance(kind, str) or not isinstance(kid, str | None):
        return
    possible = _ALGORITHMS.get((kind, curve if isinstance(curve, str) else None), ())
    for algorithm in possible:
        if algorithm in allowed and entry.get("alg") in (None, algorithm):
            try:
                key = jwt.PyJWK(dict(entry), algorithm)
            except (jwt.PyJWTError, ValueError, TypeError):
                return
            if not isinstance(key.key, RSAPublicKey) or key.key.key_size >= _MIN_RSA_BITS:
                yield (kid, algorithm), key


async def _read_json(session: aiohttp.ClientSession, url: str) -> Mapping[str, object]:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with session.get(url, headers=headers, allow_redirects=False) as response:
        if response.status != HTTPStatus.OK:
            raise ProviderError(f"it answers with status {response.status}")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_DOCUMENT_BYTES:
                raise ProviderError(f"the answer has more than {MAX_DOCUMENT_BYTES} bytes")
    document = orjson.loads(body)
    if not isinstance(document, dict):
        raise ProviderError("the answer is no JSON object")
    return document
