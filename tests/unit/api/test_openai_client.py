"""OpenAI's own clients, unmodified, understand how access is refused."""

from collections.abc import AsyncIterator

import openai
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from service.api.callers.access import Access
from service.api.callers.api_keys import ApiKeys, new_key
from service.api.errors import ApiError

READER = new_key(scopes=("read",), requests_per_s=20, burst=1)
CHATTER = new_key(scopes=("chat",))
ACCESS = Access(lambda: ApiKeys({made.entry.id: made.entry for made in (READER, CHATTER)}))


async def models(request: web.Request) -> web.Response:
    """List the models for callers with the scope `read`."""
    try:
        caller = await ACCESS.authenticate(request.headers, address=request.remote or "")
        caller.require("read")
        caller.take(images=0)
    except ApiError as error:
        return web.json_response(error.document(), status=error.status, headers=error.headers)
    return web.json_response({"object": "list", "data": []}, headers=caller.limits.headers())


@pytest.fixture
async def url() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_get("/openai/models", models)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1"))


def client(url: str, key: str, *, retries: int = 0) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=key, base_url=url, max_retries=retries)


async def test_a_wrong_key_is_an_authentication_error(url: str) -> None:
    async with client(url, new_key().text) as wrong:
        with pytest.raises(openai.AuthenticationError, match="does not know the API key") as caught:
            await wrong.models.list()
    assert caught.value.code == "access.key_unknown"


async def test_a_missing_scope_is_a_permission_error(url: str) -> None:
    async with client(url, CHATTER.text) as chatter:
        with pytest.raises(openai.PermissionDeniedError, match="needs the scope read") as caught:
            await chatter.models.list()
    assert caught.value.code == "access.scope_missing"


async def test_a_rate_limit_is_reported_waited_for_and_overcome(url: str) -> None:
    async with client(url, READER.text) as reader:
        answer = await reader.models.with_raw_response.list()
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"
        with pytest.raises(openai.RateLimitError) as caught:
            await reader.models.list()
        assert caught.value.code == "access.rate_limited"
        assert int(caught.value.response.headers["retry-after-ms"]) <= 50
    async with client(url, READER.text, retries=2) as patient:
        await patient.models.list()


async def test_azures_client_sends_its_key_in_a_header_of_its_own(url: str) -> None:
    azure = openai.AsyncAzureOpenAI(
        api_key=READER.text, azure_endpoint=url.removesuffix("/v1"), api_version="2024-10-21", max_retries=2
    )
    async with azure:
        await azure.models.list()
