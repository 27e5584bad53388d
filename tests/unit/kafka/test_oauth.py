"""Tokens for OAUTHBEARER, from a real HTTP server."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import unquote_plus

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiokafka.errors import AuthenticationFailedError
from pydantic import SecretStr

from service.kafka.connection import KafkaConnection
from service.kafka.errors import TokenUnavailableError
from service.kafka.oauth import ClientCredentials, NoTokenError
from service.settings.kafka import KafkaSettings, OAuthSettings
from testing.kafka import free_port


class TokenServer:
    """Gives numbered tokens of 100 s to clients that sign in, or the answer of the test's choice."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.signed_in: list[tuple[str, str]] = []
        self.answer: web.Response | None = None
        self.delay_s = 0.0
        app = web.Application()
        app.router.add_post("/token", self._give)
        self.server = TestServer(app)

    async def _give(self, request: web.Request) -> web.StreamResponse:
        login, secret, _ = aiohttp.BasicAuth.decode(request.headers["Authorization"])
        self.signed_in.append((unquote_plus(login), unquote_plus(secret)))
        if unquote_plus(secret) == "falsch":
            return web.json_response({"error": "invalid_client"}, status=401)
        self.forms.append({key: str(value) for key, value in (await request.post()).items()})
        await asyncio.sleep(self.delay_s)
        if self.answer is not None:  # a response can be sent once
            return web.Response(status=self.answer.status, headers=self.answer.headers, body=self.answer.body)
        return web.json_response({"access_token": f"token-{len(self.forms)}", "expires_in": 100})

    def settings(self, secret: str = "geheim", client_id: str = "modstream") -> OAuthSettings:  # noqa: S107 - the test's own
        url = str(self.server.make_url("/token"))
        return OAuthSettings(token_url=url, client_id=client_id, client_secret=SecretStr(secret), scope="kafka")


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    server = TokenServer()
    await server.server.start_server()
    yield server
    await server.server.close()


async def test_a_token_is_asked_for_once_for_many_connections(server: TokenServer) -> None:
    tokens = ClientCredentials(server.settings())
    assert await asyncio.gather(*(tokens.token() for _ in range(5))) == ["token-1"] * 5
    assert server.forms == [{"grant_type": "client_credentials", "scope": "kafka"}]


async def test_a_token_is_renewed_before_it_expires(server: TokenServer) -> None:
    now_s = 0.0
    tokens = ClientCredentials(server.settings(), clock=lambda: now_s)
    assert await tokens.token() == "token-1"
    now_s = 79.0
    assert await tokens.token() == "token-1"
    now_s = 81.0
    assert await tokens.token() == "token-2"


@pytest.mark.parametrize("text", ["a:b", "ümläut", "with space+plus%25", "a=&?/#", "https://clients.example/1"])
async def test_any_client_id_and_secret_arrive_as_they_are(server: TokenServer, text: str) -> None:
    await ClientCredentials(server.settings(secret=text, client_id=text)).token()
    assert server.signed_in == [(text, text)]


@pytest.mark.parametrize(
    ("reported", "asked_again_after_s"),
    [
        ({}, 300.0),
        ({"expires_in": None}, 300.0),
        ({"expires_in": "50"}, 50.0),
        ({"expires_in": 0.5}, 0.5),
        ({"expires_in": 10**300}, 86_400.0),
        ({"expires_in": "Infinity"}, 86_400.0),
    ],
)
async def test_a_life_is_read_in_every_form_that_servers_write(
    server: TokenServer, reported: dict[str, object], asked_again_after_s: float
) -> None:
    now_s = 0.0
    server.answer = web.json_response({"access_token": "abc"} | reported)
    tokens = ClientCredentials(server.settings(), clock=lambda: now_s)
    assert await tokens.token() == "abc"
    now_s = 0.79 * asked_again_after_s
    await tokens.token()
    assert len(server.forms) == 1
    now_s = 0.81 * asked_again_after_s
    server.answer = web.json_response({"access_token": "def"})
    assert await tokens.token() == "def"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"error": "invalid_scope"}, "refused with status 200, error invalid_scope"),
        ({"error": {"a": 1}}, "refused with status 200"),
        ({}, "access_token is missing"),
        ({"access_token": None}, "access_token is missing"),
        ({"access_token": 7}, "access_token is missing"),
        ({"access_token": ["a"]}, "access_token is missing"),
        ({"access_token": ""}, "access_token is missing"),
        ({"access_token": "a\u0001auth=Bearer b"}, "access_token is missing"),
        ({"access_token": "a", "expires_in": 0}, "expires_in is not above 0"),
        ({"access_token": "a", "expires_in": -5}, "expires_in is not above 0"),
        ({"access_token": "a", "expires_in": "-inf"}, "expires_in is not above 0"),
        ({"access_token": "a", "expires_in": "soon"}, "expires_in is no number"),
        ({"access_token": "a", "expires_in": "nan"}, "expires_in is no number"),
        ({"access_token": "a", "expires_in": True}, "expires_in is no number"),
        ({"access_token": "a", "expires_in": {}}, "expires_in is no number"),
        ([], "no JSON object"),
        ("token", "no JSON object"),
    ],
)
async def test_an_answer_that_cannot_be_used_says_what_is_wrong_with_it(
    server: TokenServer, answer: object, message: str
) -> None:
    server.answer = web.json_response(answer)
    with pytest.raises(NoTokenError, match=message):
        await ClientCredentials(server.settings()).token()


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (web.Response(text="<html>secret</html>", content_type="text/html"), r"no JSON \(status 200, text/html\)"),
        (web.Response(text="<html>secret</html>", status=503, content_type="text/html"), "no JSON .status 503"),
        (web.Response(body=b"[" * 2_000_000), "more than 262144 bytes"),
        (web.Response(body=b"[" * 100_000), "no JSON"),
        (web.Response(status=307, headers={"Location": "http://127.0.0.1:1/"}), "no JSON .status 307"),
    ],
)
async def test_what_is_no_token_answer_at_all_is_refused(
    server: TokenServer, response: web.Response, message: str
) -> None:
    server.answer = response
    with pytest.raises(NoTokenError, match=message) as caught:
        await ClientCredentials(server.settings()).token()
    assert "secret" not in str(caught.value)


async def test_a_refusal_is_an_error_that_the_client_understands(server: TokenServer) -> None:
    with pytest.raises(AuthenticationFailedError, match="status 401, error invalid_client"):
        await ClientCredentials(server.settings(secret="falsch")).token()  # noqa: S106 - as above


async def test_a_server_that_does_not_answer_is_not_waited_for(server: TokenServer) -> None:
    server.delay_s = 60
    with pytest.raises(NoTokenError, match=r"no answer within 0\.05 s"):
        await ClientCredentials(server.settings(), timeout_s=0.05).token()


async def test_a_token_serves_until_it_expires_while_no_other_can_be_had(server: TokenServer) -> None:
    now_s = 0.0
    tokens = ClientCredentials(server.settings(), clock=lambda: now_s)
    await tokens.token()
    server.answer = web.Response(status=500)
    now_s = 90.0
    assert await asyncio.gather(*(tokens.token() for _ in range(5))) == ["token-1"] * 5
    assert len(server.forms) == 2
    now_s = 101.0
    with pytest.raises(NoTokenError):
        await tokens.token()


async def test_a_start_without_a_token_names_the_setting_and_the_answer(server: TokenServer) -> None:
    settings = KafkaSettings(
        bootstrap_servers=f"127.0.0.1:{free_port()}",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="OAUTHBEARER",
        oauth=server.settings(secret="falsch"),  # noqa: S106 - as above
    )
    connection = KafkaConnection(settings)
    with pytest.raises(NoTokenError):
        await connection._tokens.token()
    with pytest.raises(TokenUnavailableError, match=r"kafka\.oauth\.token_url: refused with status 401"):
        await connection.start(connection.admin())
