"""OpenAI's moderation over HTTP: requests as its documentation has them, and its official Python client."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import pytest_asyncio

from schemas.verdict import VerdictV1
from service.api.openai.moderation_answer import OPENAI_CATEGORIES
from service.cli.try_files import PHOTOGRAPHS
from service.settings.api import ApiSettings, ModerationsSettings
from service.settings.media import FetchSettings, MediaSettings
from service.settings.settings import PolicySettings, Settings
from testing.http_api import RunningApi, running_api
from testing.image_host import ImageHost, hosting_images

WINE = PHOTOGRAPHS / "wine.jpg"
CAT = PHOTOGRAPHS / "cat.jpg"
MODEL = "omni-moderation-latest"
POLICY = """
name: adults
version: "3"
categories:
  child_safety: {review: 0.1, block: 0.8}
  alcohol: {label: 0.15}
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def images() -> AsyncIterator[ImageHost]:
    async with hosting_images() as host:
        yield host


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory, images: ImageHost) -> AsyncIterator[RunningApi]:
    folder = tmp_path_factory.mktemp("policies")
    (folder / "adults.yaml").write_text(POLICY, encoding="utf-8")
    (folder / "default.yaml").write_text(POLICY.replace("adults", "default").replace("label: 0.15", "review: 0.4"))
    fetch = FetchSettings(allow_networks=("127.0.0.0/8",))
    settings = Settings(media=MediaSettings(fetch=fetch), policy=PolicySettings(path=folder))
    async with running_api(settings) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=api.url, headers=api.headers, timeout=30) as client:
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def official(api: RunningApi) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{api.url}/v1", api_key=api.key, max_retries=0) as client:
        yield client


def data_url(path: Path) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"


def image(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


async def test_an_image_by_data_url_has_a_result_in_the_form_of_openai(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/moderations", json={"model": MODEL, "input": [image(data_url(WINE))]})

    body = answer.json()
    assert answer.status_code == 200
    assert body.keys() == {"id", "model", "results"}
    assert re.fullmatch("modr-[0-9a-f]{32}", body["id"])
    (result,) = body["results"]
    for field in ("categories", "category_scores", "category_applied_input_types"):
        assert result[field].keys() == set(OPENAI_CATEGORIES)
    verdict = VerdictV1.model_validate(result["modstream"]["verdicts"][0])
    assert body["model"] == verdict.model.name
    assert verdict.source.topic == "/v1/moderations"
    assert verdict.source.event_id == answer.headers["x-request-id"]
    assert result["category_scores"]["sexual"] == max(
        verdict.scores["sexual_explicit"], verdict.scores["nudity_nonexplicit"]
    )


async def test_a_category_without_a_counterpart_flags_and_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/moderations", json={"input": [image(data_url(WINE))]})

    (result,) = answer.json()["results"]
    assert result["flagged"]
    assert not any(result["categories"].values())
    assert result["modstream"]["flagged_by"] == {"alcohol": []}


async def test_what_the_engine_does_not_cover_is_named(client: httpx.AsyncClient) -> None:
    (result,) = (await client.post("/v1/moderations", json={"input": [image(data_url(CAT))]})).json()["results"]

    assert not result["flagged"]
    assert set(result["modstream"]["not_covered"]) == set(OPENAI_CATEGORIES) - {"sexual", "illicit/violent"}
    assert result["category_applied_input_types"]["sexual"] == ["image"]
    assert result["category_applied_input_types"]["violence"] == []


async def test_an_image_by_url_is_fetched_as_those_of_the_stream(client: httpx.AsyncClient, images: ImageHost) -> None:
    answer = await client.post("/v1/moderations", json={"input": [image(f"{images.url}/photo/wine/1")]})

    (result,) = answer.json()["results"]
    assert result["modstream"]["decision"] == "review"


async def test_several_images_with_text_have_one_result_which_is_the_worst(client: httpx.AsyncClient) -> None:
    parts = [text("for sale"), image(data_url(CAT)), image(data_url(WINE)), image(data_url(CAT))]

    (result,) = (await client.post("/v1/moderations", json={"input": parts})).json()["results"]

    assert result["flagged"]
    decisions = [verdict["decision"] for verdict in result["modstream"]["verdicts"]]
    assert decisions == ["allow", "review", "allow"]
    assert (result["modstream"]["text"]["status"], result["modstream"]["text"]["parts"]) == ("not_judged", 1)


@pytest.mark.parametrize(("given", "results"), [("I want to hurt them", 1), (["one", "two", "three"], 3)])
async def test_text_is_passed_through_and_marked_as_not_judged(
    client: httpx.AsyncClient, given: Any, results: int
) -> None:
    answer = await client.post("/v1/moderations", json={"model": MODEL, "input": given})

    found = answer.json()["results"]
    assert len(found) == results
    assert {each["modstream"]["text"]["status"] for each in found} == {"not_judged"}
    assert {each["flagged"] for each in found} == {False}
    assert {len(each["modstream"]["not_covered"]) for each in found} == {len(OPENAI_CATEGORIES)}


async def test_text_alone_is_refused_where_the_operator_says_so() -> None:
    settings = Settings(api=ApiSettings(moderations=ModerationsSettings(text="refuse")))
    async with running_api(settings) as refusing, httpx.AsyncClient(headers=refusing.headers, timeout=30) as client:
        path = f"{refusing.url}/v1/moderations"
        alone = await client.post(path, json={"input": "some text"})
        beside = await client.post(path, json={"input": [text("some"), image(data_url(CAT))]})

    assert (alone.status_code, alone.json()["error"]["code"]) == (400, "moderation.text_refused")
    assert beside.json()["results"][0]["modstream"]["text"]["status"] == "not_judged"


async def test_a_policy_is_named_in_the_body_or_in_a_header(client: httpx.AsyncClient) -> None:
    body = {"input": [image(data_url(WINE))]}

    by_body = await client.post("/v1/moderations", json=body | {"modstream": {"policy": "adults"}})
    by_header = await client.post("/v1/moderations", json=body, headers={"modstream-policy": "adults"})

    for answer in (by_body, by_header):
        (result,) = answer.json()["results"]
        assert not result["flagged"]
        assert result["modstream"]["verdicts"][0]["policy"]["name"] == "adults"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("{host}/missing/1", "image.not_found"),
        ("data:image/png;base64,aGVsbG8=", "image.unsupported_format"),
        ("data:image/png;base64,hello", "image.reference_invalid"),
        ("file:///etc/hostname", "image.scheme_not_allowed"),
        ("http://10.0.0.1/1.jpg", "image.address_not_allowed"),
    ],
)
async def test_an_image_that_cannot_be_had_is_a_bad_request_with_our_reason(
    client: httpx.AsyncClient, images: ImageHost, url: str, code: str
) -> None:
    parts = [image(data_url(CAT)), image(url.format(host=images.url))]

    answer = await client.post("/v1/moderations", json={"input": parts})

    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error.keys() == {"message", "type", "param", "code"}
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", "input.1.image_url", code)


async def test_a_host_that_fails_is_an_error_to_try_again(client: httpx.AsyncClient, images: ImageHost) -> None:
    answer = await client.post("/v1/moderations", json={"input": [image(f"{images.url}/refused/1")]})

    assert (answer.status_code, answer.json()["error"]["type"]) == (502, "server_error")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "api.body_not_json"),
        (b"[" * 70_000, "moderation.invalid"),
        (b"{}", "moderation.invalid"),
        (b'{"input": "x", "modstream": {"policy": "unknown"}}', "policy.unknown"),
    ],
)
async def test_a_body_that_cannot_be_used_is_a_bad_request(client: httpx.AsyncClient, body: bytes, code: str) -> None:
    answer = await client.post("/v1/moderations", content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_the_official_client_reads_an_answer(official: openai.AsyncOpenAI) -> None:
    answer = await official.moderations.create(model=MODEL, input=[image(data_url(WINE)), text("two bottles")])

    (result,) = answer.results
    assert result.flagged
    assert not result.categories.sexual_minors
    assert 0 < result.category_scores.sexual < 1
    assert result.category_applied_input_types.sexual == ["image"]
    assert result.modstream["flagged_by"] == {"alcohol": []}


async def test_the_official_client_names_policy_and_caption_in_its_extra_body(official: openai.AsyncOpenAI) -> None:
    extra = {"modstream": {"policy": "adults", "caption": "two bottles"}}

    answer = await official.moderations.create(model=MODEL, input=[image(data_url(WINE))], extra_body=extra)

    assert not answer.results[0].flagged


async def test_the_official_client_without_asyncio_gets_the_same(api: RunningApi) -> None:
    with openai.OpenAI(base_url=f"{api.url}/v1", api_key=api.key) as client:
        answer = await asyncio.to_thread(client.moderations.create, input=["one", "two"])

    assert [result.flagged for result in answer.results] == [False, False]


async def test_the_official_client_raises_its_own_errors(api: RunningApi, official: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as bad:
        await official.moderations.create(input=[image("data:image/png;base64,aGVsbG8=")])
    with pytest.raises(openai.AuthenticationError):
        await official.with_options(api_key="wrong").moderations.create(input="text")

    assert bad.value.code == "image.unsupported_format"
    assert bad.value.param == "input.0.image_url"


async def test_a_client_that_builds_the_path_from_a_host_needs_no_base_url(api: RunningApi) -> None:
    host = api.url.removeprefix("http://")
    async with httpx.AsyncClient(headers=api.headers) as client:
        answer = await client.post(f"http://{host}/v1/moderations", json={"input": "text"})

    assert answer.status_code == 200


async def test_the_openapi_document_describes_the_route(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    operation = document["paths"]["/v1/moderations"]["post"]
    assert operation["operationId"] == "moderations"
    assert {"ModerationRequest", "ModerationAnswer"} <= document["components"]["schemas"].keys()
