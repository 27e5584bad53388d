"""An identity provider that publishes signing keys and issues tokens, for tests of callers."""

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from service.settings.api import JwtSettings

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

AUDIENCE = "modstream"


class IdentityProvider:
    """A server with OpenID Connect's two documents; tests change what it answers."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.answer: web.Response | None = None
        """What is answered instead of the signing keys."""
        self.issuer: str | None = None
        """What the openid-configuration names instead of the server's URL."""
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._configuration)
        app.router.add_get("/keys", self._keys)
        self.server = TestServer(app)

    @property
    def url(self) -> str:
        """The issuer."""
        return f"http://127.0.0.1:{self.server.port}"

    def settings(self, **others: Any) -> JwtSettings:
        """Return settings that accept this provider's tokens."""
        return JwtSettings(issuer=self.url, audience=AUDIENCE, **others)

    def publish(self, kid: str | None, key: PrivateKey, **members: object) -> None:
        """Publish the public part of a key."""
        self.keys.append(public_jwk(key) | ({"kid": kid} if kid is not None else {}) | members)

    def token(self, kid: str | None, key: PrivateKey, algorithm: str, **claims: object) -> str:
        """Return a signed token that is valid for a minute; a claim that is None is left out."""
        return jwt.encode(
            self.claims(**claims), key, algorithm=algorithm, headers={"kid": kid} if kid is not None else None
        )

    def claims(self, **others: object) -> dict[str, Any]:
        """Return the claims of a token that is accepted, with changes."""
        now = int(time.time())
        usual = {"iss": self.url, "aud": AUDIENCE, "exp": now + 60, "sub": "reader", "tenant": "shop", "scope": "read"}
        return {name: value for name, value in (usual | others).items() if value is not None}

    async def _configuration(self, request: web.Request) -> web.Response:
        self.requests.append(request.path)
        return web.json_response({"issuer": self.issuer or self.url, "jwks_uri": f"{self.url}/keys"})

    async def _keys(self, request: web.Request) -> web.Response:
        self.requests.append(request.path)
        if self.answer is not None:  # a response can be sent once
            return web.Response(status=self.answer.status, headers=self.answer.headers, body=self.answer.body)
        return web.json_response({"keys": self.keys})


def public_jwk(key: PrivateKey) -> dict[str, Any]:
    """Return the public part of a key as a JSON Web Key."""
    public = key.public_key()
    match public:
        case rsa.RSAPublicKey():
            return RSAAlgorithm.to_jwk(public, as_dict=True)
        case ec.EllipticCurvePublicKey():
            return ECAlgorithm.to_jwk(public, as_dict=True)
        case _:
            return OKPAlgorithm.to_jwk(public, as_dict=True)


def forged(header: Mapping[str, object], claims: Mapping[str, object], signature: bytes = b"") -> str:
    """Return a token made by hand."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
