"""Tokens for OAUTHBEARER, from a real HTTP server."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiokafka.errors import AuthenticationFailedError
from pydantic import SecretStr

from service.kafka_settings import OAuthSettings
from service.stream.oauth import ClientCredentials


class TokenServer:
    """Gives numbered tokens of 100 s to whoever signs in."""

    def __init__(self) -> None:
        self.forms: list[dict[str, str]] = []
        self.answer: dict[str, object] = {}
        app = web.Application()
        app.router.add_post("/token", self._give)
        self.server = TestServer(app)

    async def _give(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"] != "Basic bW9kc3RyZWFtOmdlaGVpbQ==":
            return web.Response(status=401)
        self.forms.append({key: str(value) for key, value in (await request.post()).items()})
        return web.json_response(self.answer or {"access_token": f"token-{len(self.forms)}", "expires_in": 100})

    def settings(self, secret: str = "geheim") -> OAuthSettings:  # noqa: S107 - the test's own
        url = str(self.server.make_url("/token"))
        return OAuthSettings(token_url=url, client_id="modstream", client_secret=SecretStr(secret), scope="kafka")


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


async def test_a_refusal_is_an_error_that_the_client_understands(server: TokenServer) -> None:
    with pytest.raises(AuthenticationFailedError, match=r"no token from kafka\.oauth\.token_url"):
        await ClientCredentials(server.settings(secret="falsch")).token()  # noqa: S106 - as above


async def test_an_answer_without_a_token_is_one_as_well(server: TokenServer) -> None:
    server.answer = {"error": "invalid_scope"}
    with pytest.raises(AuthenticationFailedError):
        await ClientCredentials(server.settings()).token()
