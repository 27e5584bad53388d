"""Tokens of an identity provider, from a real server with real keys."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.datastructures import Headers

from service.api.callers.access import Access, Caller
from service.api.callers.access_errors import (
    TokenExpiredError,
    TokenInvalidError,
    TooManyFailuresError,
)
from service.api.callers.api_keys import ApiKeys, new_key
from service.api.callers.rate_limits import Limits
from service.api.callers.signing_keys import SigningKeys
from service.api.callers.tokens import MAX_TOKEN_CHARACTERS, Tokens
from service.settings.api import JwtSettings
from testing.clock import StillClock
from testing.identity_provider import IdentityProvider, PrivateKey, forged, public_jwk

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    provider = IdentityProvider()
    await provider.server.start_server()
    provider.publish("rsa", RSA)
    provider.publish("ec", P256)
    yield provider
    await provider.server.close()


class Door:
    """An access whose signing keys are followed."""

    def __init__(self, settings: JwtSettings, clock: StillClock, timeout_s: float = 5.0) -> None:
        self.keys = SigningKeys(settings, clock=clock, timeout_s=timeout_s)
        made = new_key()
        self.key = made.text
        self.access = Access(
            lambda: ApiKeys({made.entry.id: made.entry}), Tokens(settings, self.keys), limits=Limits(1, None, 2)
        )

    async def enter(self, token: str, address: str = "192.0.2.1") -> Caller:
        return await self.access.authenticate(Headers({"authorization": f"Bearer {token}"}), address=address)


@asynccontextmanager
async def door_of(settings: JwtSettings, clock: StillClock, timeout_s: float = 5.0) -> AsyncIterator[Door]:
    door = Door(settings, clock, timeout_s)
    task = asyncio.create_task(door.keys.watch())
    yield door
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.fixture
async def door(provider: IdentityProvider, clock: StillClock) -> AsyncIterator[Door]:
    async with door_of(provider.settings(), clock) as door:
        yield door


async def test_a_token_names_its_caller_tenant_and_scopes(provider: IdentityProvider, door: Door) -> None:
    caller = await door.enter(provider.token("rsa", RSA, "RS256", scope="openid moderate read email"))
    assert (caller.key_id, caller.tenant, caller.scopes) == ("jwt:reader", "shop", frozenset({"moderate", "read"}))
    assert provider.requests == ["/.well-known/openid-configuration", "/keys"]


async def test_a_key_is_accepted_beside_tokens(door: Door) -> None:
    assert (await door.enter(door.key)).tenant == "default"


@pytest.mark.parametrize(
    ("kid", "key", "algorithm"),
    [
        ("rsa", RSA, "RS256"),
        ("rsa", RSA, "RS512"),
        ("rsa", RSA, "PS384"),
        ("ec", P256, "ES256"),
        ("ec384", P384, "ES384"),
        ("ed", ED25519, "EdDSA"),
    ],
)
async def test_every_allowed_signature_is_checked(
    provider: IdentityProvider, clock: StillClock, kid: str, key: PrivateKey, algorithm: str
) -> None:
    provider.publish("ec384", P384)
    provider.publish("ed", ED25519)
    token = provider.token(kid, key, algorithm)
    async with door_of(provider.settings(algorithms=(algorithm,)), clock) as door:
        assert (await door.enter(token)).tenant == "shop"
        head, payload, signature = token.split(".")
        with pytest.raises(TokenInvalidError, match="its signature is wrong"):
            await door.enter(f"{head}.{payload}.{'A' * (len(signature) // 4 * 4)}")
    async with door_of(provider.settings(algorithms=("PS512",)), clock) as door:
        with pytest.raises(TokenInvalidError, match=r"its algorithm \(alg\) is not accepted"):
            await door.enter(token)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "HS512", "", None, ["RS256"], 7])
async def test_no_signature_and_shared_secrets_are_never_accepted(
    provider: IdentityProvider, door: Door, algorithm: object
) -> None:
    """The public key as a shared secret is the classic confusion of algorithms."""
    signed = forged({"alg": algorithm, "kid": "rsa"}, provider.claims()).rpartition(".")[0]
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (public, json.dumps(public_jwk(RSA)).encode()):
        signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        token = forged({"alg": algorithm, "kid": "rsa"}, provider.claims(), signature)
        with pytest.raises(TokenInvalidError, match="alg"):
            await door.enter(token)
    with pytest.raises(TokenInvalidError, match="alg"):
        await door.enter(f"{signed}.", address="192.0.2.2")


async def test_the_algorithm_of_the_token_must_fit_its_key(provider: IdentityProvider, door: Door) -> None:
    for header in ({"alg": "ES256", "kid": "rsa"}, {"alg": "RS256", "kid": "ec"}):
        with pytest.raises(TokenInvalidError, match="none of those that the issuer publishes"):
            await door.enter(forged(header, provider.claims(), b"x" * 64))


async def test_a_key_that_the_token_brings_is_not_used(provider: IdentityProvider, door: Door) -> None:
    own = ec.generate_private_key(ec.SECP256R1())
    token = provider.token("ec", own, "ES256")
    _, payload, signature = token.split(".")
    forged_head = forged({"alg": "ES256", "kid": "ec", "jwk": public_jwk(own), "jku": "http://192.0.2.1/"}, {})
    for text in (token, f"{forged_head.split('.')[0]}.{payload}.{signature}"):
        with pytest.raises(TokenInvalidError, match="its signature is wrong"):
            await door.enter(text)


IN_2100 = 4_102_444_800


def now() -> int:
    return int(time.time())


@pytest.mark.parametrize(
    ("claims", "detail"),
    [
        ({"aud": "other"}, "its audience"),
        ({"aud": ["other", "another"]}, "its audience"),
        ({"aud": None}, "no claim aud"),
        ({"aud": 7}, "its audience|cannot be read"),
        ({"iss": "https://issuer.example"}, "its issuer"),
        ({"iss": None}, "no claim iss"),
        ({"exp": None}, "no claim exp"),
        ({"exp": "soon"}, "cannot be read"),
        ({"exp": []}, "cannot be read"),
        ({"exp": 1e400}, "cannot be read"),
        ({"nbf": IN_2100}, "not valid yet"),
        ({"iat": IN_2100}, "not valid yet"),
        ({"sub": None}, "no claim sub"),
        ({"sub": "a\nb"}, "no claim sub"),
        ({"sub": "a" * 257}, "no claim sub"),
        ({"tenant": None}, "no claim tenant"),
        ({"tenant": ""}, "no claim tenant"),
        ({"tenant": ["shop"]}, "no claim tenant"),
        ({"tenant": "a\u0000"}, "no claim tenant"),
    ],
)
async def test_claims_that_do_not_fit_are_refused(
    provider: IdentityProvider, door: Door, claims: dict[str, object], detail: str
) -> None:
    with pytest.raises(TokenInvalidError, match=detail) as caught:
        await door.enter(provider.token("rsa", RSA, "RS256", **claims))
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"] == 'Bearer realm="modstream", error="invalid_token"'


async def test_clocks_may_differ_by_the_leeway(provider: IdentityProvider, door: Door) -> None:
    await door.enter(provider.token("rsa", RSA, "RS256", exp=now() - 15, nbf=now() + 15))
    with pytest.raises(TokenExpiredError):
        await door.enter(provider.token("rsa", RSA, "RS256", exp=now() - 45))


@pytest.mark.parametrize(
    ("settings", "claims", "expected"),
    [
        ({"scopes_claim": "scp"}, {"scp": ["chat", "read", 7]}, ("shop", {"chat", "read"})),
        ({"scopes_claim": "realm_access.roles"}, {"realm_access": {"roles": ["tenants"]}}, ("shop", {"tenants"})),
        ({"scopes_claim": "realm_access.roles"}, {"realm_access": "roles"}, ("shop", set())),
        (
            {"tenant_claim": "https://shop.example/tenant"},
            {"https://shop.example/tenant": "shoes"},
            ("shoes", {"read"}),
        ),
        ({"tenant_claim": None}, {"tenant": None}, ("default", {"read"})),
        ({}, {"scope": None}, ("shop", set())),
        ({}, {"scope": {"read": True}}, ("shop", set())),
    ],
)
async def test_claims_are_found_where_providers_put_them(
    provider: IdentityProvider,
    clock: StillClock,
    settings: dict[str, object],
    claims: dict[str, object],
    expected: tuple[str, set[str]],
) -> None:
    async with door_of(provider.settings(**settings), clock) as door:
        caller = await door.enter(provider.token("rsa", RSA, "RS256", **claims))
        assert (caller.tenant, set(caller.scopes)) == expected


@pytest.mark.parametrize(
    "token",
    [
        "a.b.c",
        "..",
        "{0}.{0}.{0}",
        forged({"alg": "RS256", "kid": 7}, {}),
        forged({"alg": "RS256", "crit": ["x"]}, {}),
        f"{'W1' * 3000}.e30.e30",
        f"{'A' * MAX_TOKEN_CHARACTERS}.e30.e30",
        "ü.a.b",
    ],
)
async def test_what_is_no_token_is_refused(door: Door, token: str) -> None:
    with pytest.raises(TokenInvalidError) as caught:
        await door.enter(token)
    assert token not in f"{caught.value} {caught.value.facts}"


async def test_the_limits_of_tokens_are_counted_by_their_subject(provider: IdentityProvider, door: Door) -> None:
    for name in ("one", "two"):
        caller = await door.enter(provider.token("rsa", RSA, "RS256", sub=name))
        assert caller.limits.headers()["x-ratelimit-remaining-requests"] == "2"
        caller.take()
        again = await door.enter(provider.token("ec", P256, "ES256", sub=name))
        assert again.limits.headers()["x-ratelimit-remaining-requests"] == "1"


async def test_forgeries_from_an_address_are_answered_429_and_right_tokens_pass(
    provider: IdentityProvider, door: Door
) -> None:
    reasons = []
    for _ in range(12):
        with pytest.raises((TokenInvalidError, TooManyFailuresError)) as caught:
            await door.enter(provider.token("rsa", RSA, "RS256", aud="other"))
        reasons.append(caught.value.reason)
    assert reasons == ["access.token_invalid"] * 10 + ["access.too_many_failures"] * 2
    assert await door.enter(provider.token("rsa", RSA, "RS256"))


async def test_an_expired_token_may_come_often(provider: IdentityProvider, door: Door) -> None:
    for _ in range(30):
        with pytest.raises(TokenExpiredError):
            await door.enter(provider.token("rsa", RSA, "RS256", exp=now() - 60))
