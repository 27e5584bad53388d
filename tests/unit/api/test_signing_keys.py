"""Signing keys: read in the background, kept while the provider is away, and never at a stranger's will."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, get_args

import pytest
import structlog
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm
from structlog.typing import EventDict

from service.api.callers.access_errors import TokenInvalidError, TokensUnavailableError
from service.api.callers.provider import MAX_DOCUMENT_BYTES, ProviderError, usable_keys
from service.api.callers.signing_keys import MAX_WAITING, SigningKeys
from service.settings.api import JwtSettings, SigningAlgorithm
from testing.clock import StillClock
from testing.identity_provider import IdentityProvider, public_jwk
from testing.waiting import wait_until

P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SMALL = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - what has to be refused


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def provider() -> AsyncIterator[IdentityProvider]:
    provider = IdentityProvider()
    await provider.server.start_server()
    provider.publish("first", P256)
    yield provider
    await provider.server.close()


@asynccontextmanager
async def watched(settings: JwtSettings, clock: StillClock, timeout_s: float = 5.0) -> AsyncIterator[SigningKeys]:
    keys = SigningKeys(settings, clock=clock, timeout_s=timeout_s)
    task = asyncio.create_task(keys.watch())
    yield keys
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def details(logged: list[EventDict]) -> list[str]:
    """Return what was logged of readings that failed."""
    return [event["detail"] for event in logged if event["event"] == "access.no_signing_keys"]


def readings(provider: IdentityProvider) -> int:
    return provider.requests.count("/keys")


async def test_the_first_request_waits_for_the_first_reading(provider: IdentityProvider, clock: StillClock) -> None:
    async with watched(provider.settings(), clock) as keys:
        found = await asyncio.gather(*(keys.find("first", "ES256") for _ in range(20)))
        assert {key.key_id for key in found} == {"first"}
        assert readings(provider) == 1


async def test_a_rotated_key_is_found_by_reading_again(provider: IdentityProvider, clock: StillClock) -> None:
    async with watched(provider.settings(), clock) as keys:
        await keys.find("first", "ES256")
        provider.keys.clear()
        provider.publish("second", P256)
        clock.now_s += 31
        assert (await keys.find("second", "ES256")).key_id == "second"
        with pytest.raises(TokenInvalidError):
            await keys.find("first", "ES256")


async def test_a_flood_of_unknown_keys_reads_once_in_30_seconds(provider: IdentityProvider, clock: StillClock) -> None:
    async with watched(provider.settings(), clock) as keys:
        await keys.find("first", "ES256")
        for flood in range(3):
            answers = await asyncio.gather(
                *(keys.find(f"invented-{flood}-{number}", "ES256") for number in range(500)), return_exceptions=True
            )
            assert {type(answer) for answer in answers} <= {TokenInvalidError, TokensUnavailableError}
            clock.now_s += 29
            assert (await keys.find("first", "ES256")).key_id == "first"
        # At the start, and 58 s later in the third flood.
        assert readings(provider) == 2


async def test_requests_beyond_those_that_may_wait_are_answered_503(
    provider: IdentityProvider, clock: StillClock
) -> None:
    async with watched(provider.settings(), clock) as keys:
        answers = await asyncio.gather(
            *(keys.find("first", "ES256") for _ in range(2 * MAX_WAITING)), return_exceptions=True
        )
        refused = [answer for answer in answers if isinstance(answer, TokensUnavailableError)]
        assert len(refused) == MAX_WAITING
        assert {error.headers["Retry-After"] for error in refused} == {"1"}


async def test_a_client_that_leaves_does_not_end_the_reading_that_others_wait_for(
    provider: IdentityProvider, clock: StillClock
) -> None:
    async with watched(provider.settings(), clock) as keys:
        await keys.find("first", "ES256")
        provider.publish("second", P256)
        clock.now_s += 31
        leaving = asyncio.create_task(keys.find("second", "ES256"))
        staying = asyncio.create_task(keys.find("second", "ES256"))
        await asyncio.sleep(0)
        leaving.cancel()
        assert (await staying).key_id == "second"


async def test_keys_stay_good_while_the_provider_is_away(provider: IdentityProvider, clock: StillClock) -> None:
    async with watched(provider.settings(), clock) as keys:
        await keys.find("first", "ES256")
        await provider.server.close()
        clock.now_s += 31
        with structlog.testing.capture_logs() as logged, pytest.raises(TokenInvalidError):
            await keys.find("second", "ES256")
        assert (await keys.find("first", "ES256")).key_id == "first"
        (warning,) = keys.warnings()
        assert "the keys read before stay good" in warning
        assert [(event["event"], event["kept"]) for event in logged] == [("access.no_signing_keys", 1)]


async def test_without_any_keys_tokens_are_answered_503_with_retry_after(clock: StillClock) -> None:
    settings = JwtSettings(issuer="http://127.0.0.1:9", audience="modstream")
    async with watched(settings, clock) as keys:
        with pytest.raises(TokensUnavailableError) as caught:
            await keys.find("first", "ES256")
        assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "30")
        assert "tokens are refused" in keys.warnings()[0]


async def test_the_service_recovers_when_the_provider_does(provider: IdentityProvider, clock: StillClock) -> None:
    provider.answer = web.Response(status=503)
    settings = provider.settings().model_copy(update={"refresh_s": 0.01})
    async with watched(settings, clock) as keys:
        await wait_until(lambda: readings(provider) > 1, description="the keys are read again after a failure")
        provider.answer = None
        await wait_until(lambda: not keys.warnings(), description="the keys are there")
        assert (await keys.find("first", "ES256")).key_id == "first"


async def test_a_provider_that_hangs_is_not_waited_for(clock: StillClock) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):  # until the client gives up
            pass
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    settings = JwtSettings(issuer=f"http://127.0.0.1:{port}", audience="modstream")
    async with server, watched(settings, clock, timeout_s=0.05) as keys:
        with structlog.testing.capture_logs() as logged, pytest.raises(TokensUnavailableError):
            await keys.find("first", "ES256")
    assert details(logged) == ["no answer within 0.05 s"]


@pytest.mark.parametrize(
    ("response", "detail"),
    [
        (web.Response(body=b"[" * (MAX_DOCUMENT_BYTES + 1)), "more than 262144 bytes"),
        (web.Response(body=b"[]"), "no JSON object"),
        (web.Response(body=b"{"), "JSONDecodeError"),
        (web.Response(body=b"[" * 100_000), "JSONDecodeError"),
        (web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"}), "status 302"),
        (web.Response(body=b"{}"), "no list 'keys'"),
        (web.Response(body=b'{"keys": []}'), "none of its 0 keys is for RS256, ES256"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_named_and_the_keys_stay(
    provider: IdentityProvider, clock: StillClock, response: web.Response, detail: str
) -> None:
    async with watched(provider.settings(), clock) as keys:
        await keys.find("first", "ES256")
        provider.answer = response
        with structlog.testing.capture_logs() as logged:
            await keys.refresh()
        assert detail in details(logged)[0]
        assert keys.warnings()
        assert (await keys.find("first", "ES256")).key_id == "first"


async def test_another_issuers_configuration_is_refused(provider: IdentityProvider, clock: StillClock) -> None:
    provider.issuer = "https://other.example"
    async with watched(provider.settings(), clock) as keys:
        with structlog.testing.capture_logs() as logged, pytest.raises(TokensUnavailableError):
            await keys.find("first", "ES256")
    assert details(logged) == ["the issuer of its openid-configuration is another than api.jwt.issuer"]


async def test_the_url_of_the_keys_may_be_given(provider: IdentityProvider, clock: StillClock) -> None:
    async with watched(provider.settings(jwks_url=f"{provider.url}/keys"), clock) as keys:
        await keys.find("first", "ES256")
        assert provider.requests == ["/keys"]


async def test_a_token_without_a_key_id_is_for_the_only_key_of_its_algorithm(
    provider: IdentityProvider, clock: StillClock
) -> None:
    async with watched(provider.settings(), clock) as keys:
        assert (await keys.find(None, "ES256")).key_id == "first"
        provider.publish("second", P256)
        await keys.refresh()
        with pytest.raises(TokenInvalidError):
            await keys.find(None, "ES256")


EC_JWK = public_jwk(P256) | {"kid": "k"}
RSA_JWK = public_jwk(RSA) | {"kid": "k"}


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "kid": "k", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "oct", "kid": "k", "k": "c2VjcmV0"},
        EC_JWK | {"use": "enc"},
        EC_JWK | {"alg": "ES384"},
        EC_JWK | {"alg": "HS256"},
        ECAlgorithm.to_jwk(P256, as_dict=True) | {"kid": "k"},  # a private key
        EC_JWK | {"kid": 7},
        EC_JWK | {"crv": "P-192"},
        EC_JWK | {"crv": ["P-256"]},
        EC_JWK | {"x": "AAAA"},
        EC_JWK | {"x": 7},
        {"kty": "EC", "crv": "P-256", "kid": "k"},
        RSA_JWK | {"n": ""},
        RSA_JWK | {"n": 7},
        public_jwk(SMALL),
        {},
        {"kty": ["RSA"]},
        7,
    ],
)
def test_keys_that_prove_nothing_are_left_out(entry: object) -> None:
    assert set(usable_keys({"keys": [entry, EC_JWK | {"kid": "good"}]}, ("RS256", "ES256"))) == {("good", "ES256")}
    with pytest.raises(ProviderError):
        usable_keys({"keys": [entry]}, ("RS256", "ES256"))


def test_a_key_is_for_its_own_algorithm_alone() -> None:
    def of(*entries: Mapping[str, Any]) -> set[tuple[str | None, str]]:
        return set(usable_keys({"keys": list(entries)}, ("RS256", "PS256", "ES256")))

    assert of(RSA_JWK) == {("k", "RS256"), ("k", "PS256")}
    assert of(RSA_JWK | {"alg": "PS256"}) == {("k", "PS256")}
    assert of(EC_JWK) == {("k", "ES256")}


def test_of_a_flood_of_keys_some_are_read() -> None:
    assert len(usable_keys({"keys": [EC_JWK | {"kid": str(number)} for number in range(500)]}, ("ES256",))) == 100


@given(
    st.sampled_from([EC_JWK, RSA_JWK, {"kty": "OKP", "crv": "Ed25519", "x": "AA"}]),
    st.dictionaries(
        st.sampled_from(["kty", "crv", "x", "y", "n", "e", "alg", "use", "kid", "key_ops"]),
        st.none() | st.text(max_size=4) | st.integers() | st.lists(st.text(max_size=4)) | st.just("AQAB"),
    ),
)
def test_any_members_of_a_key_are_read_or_left_out(entry: Mapping[str, Any], others: Mapping[str, Any]) -> None:
    with suppress(ProviderError):
        usable_keys({"keys": [{**entry, **others}]}, get_args(SigningAlgorithm))
