"""Whatever a stranger sends as credentials is refused, and never an unexpected error."""

import asyncio
import json
import math
import time
from contextlib import suppress
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from service.api.callers.access import Access, Caller
from service.api.callers.api_keys import ApiKeys, new_key
from service.api.callers.provider import usable_keys
from service.api.callers.signing_keys import SigningKeys
from service.api.callers.tokens import Tokens
from service.api.errors import ApiError
from service.settings.api import JwtSettings
from testing.clock import StillClock
from testing.identity_provider import forged, public_jwk

KEY = ec.generate_private_key(ec.SECP256R1())
MADE = new_key()
SETTINGS = JwtSettings(issuer="https://id.example.com", audience="modstream")
USUAL = {
    "iss": SETTINGS.issuer,
    "aud": SETTINGS.audience,
    "exp": int(time.time()) + 3600,
    "sub": "reader",
    "tenant": "shop",
    "scope": "read",
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
claims = st.dictionaries(st.sampled_from([*USUAL, "nbf", "iat", "jti", "crit"]), json_values)
heads = st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk"]), json_values)
latin = st.characters(codec="latin-1")


def enter(name: str, text: str) -> Caller | None:
    """Return the caller that a header makes, None if it is refused."""

    async def entered() -> Caller | None:
        keys = SigningKeys(SETTINGS, clock=StillClock())
        keys._next_at_s = math.inf  # no watch reads them again
        keys._keys = usable_keys({"keys": [public_jwk(KEY) | {"kid": "k"}]}, SETTINGS.algorithms)
        access = Access(lambda: ApiKeys({MADE.entry.id: MADE.entry}), Tokens(SETTINGS, keys))
        with suppress(ApiError):
            return await access.authenticate(Headers({name: text}))
        return None

    return asyncio.run(entered())


def signed(content: dict[str, Any]) -> str:
    return jwt.api_jws.encode(json.dumps(content).encode(), KEY, "ES256", headers={"kid": "k"})


@given(st.text(latin), st.sampled_from(["authorization", "api-key", "x-api-key"]))
def test_any_header_is_refused(text: str, name: str) -> None:
    assert enter(name, text) is None


@given(st.text(latin, max_size=80))
def test_anything_in_place_of_a_keys_secret_is_refused(secret: str) -> None:
    assert enter("api-key", f"ms_{MADE.entry.id}_{secret}") is None


@given(heads, claims)
def test_any_unsigned_token_is_refused(head: dict[str, Any], content: dict[str, Any]) -> None:
    text = forged({"kid": "k", "alg": "ES256"} | head, USUAL | content, b"x" * 64)
    assert enter("authorization", f"Bearer {text}") is None


@given(claims)
def test_a_signed_token_is_accepted_with_proper_claims_alone(content: dict[str, Any]) -> None:
    caller = enter("authorization", f"Bearer {signed(USUAL | content)}")
    if caller is not None:
        assert caller.tenant == (USUAL | content)["tenant"]
        assert (USUAL | content)["aud"] in ("modstream", ["modstream"])
        assert (USUAL | content)["iss"] == SETTINGS.issuer


def test_the_token_that_the_others_change_is_accepted() -> None:
    caller = enter("authorization", f"Bearer {signed(USUAL)}")
    assert caller is not None
    assert (caller.tenant, caller.scopes) == ("shop", frozenset({"read"}))
