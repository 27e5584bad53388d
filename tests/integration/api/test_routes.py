from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from service.api.models import Outcome
from service.settings.settings import Settings
from testing.http_api import running_api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        running_api(Settings.model_validate({"engine": {"kind": "rehearsal"}})) as api,
        httpx.AsyncClient(base_url=api.url, headers=api.headers) as client,
    ):
        yield client


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("path", ["/moderations", "/chat/completions", "/v1/v1/moderations", "/v1/responses"])
async def test_an_unknown_route_says_what_a_base_url_ends_in(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, json={})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "api.http_404")
    assert "ends in /v1" in error["message"]
    assert "/docs" in error["message"]


async def test_a_wrong_method_names_the_right_one(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/moderations")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (405, "api.http_405")
    assert error["message"].startswith("This route takes POST, not GET")


async def test_every_operation_of_the_document_says_in_a_sentence_what_it_does(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    titles = [each["summary"] for path in document["paths"].values() for each in path.values()]
    assert [title for title in titles if len(title.split()) < 3 or len(title) > 100] == []
    assert len(set(titles)) == len(titles)


async def test_answers_in_the_document_have_examples_that_fit_their_models(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    responses = document["paths"]["/v1/verdicts"]["post"]["responses"]
    example = Outcome.model_validate(responses["200"]["content"]["application/json"]["example"])
    assert example.verdict is not None
    assert example.verdict.decision == "review"
    tagged = document["paths"]["/v1/tags"]["post"]["responses"]["200"]["content"]["application/json"]["example"]
    assert Outcome.model_validate(tagged).tags is not None
    assert {
        responses[status]["content"]["application/json"]["example"]["error"]["code"] for status in ("413", "429", "504")
    } == {"api.body_too_large", "api.busy", "api.timeout"}
