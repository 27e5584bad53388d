from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from testing.http_api import RunningApi, running_api
from testing.photographs import CAT, WINE, inline


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api() -> AsyncIterator[RunningApi]:
    async with running_api() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=api.url, headers=api.headers, timeout=30) as client:
        yield client


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_image_in_json_gets_its_verdict(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/verdicts", json={"image_id": "42", "image": inline(WINE)})

    outcome = answer.json()
    assert answer.status_code == 200
    assert outcome["image_id"] == "42"
    assert outcome["verdict"]["decision"] == "review"
    assert outcome["verdict"]["source"]["topic"] == "/v1/verdicts"
    assert outcome["verdict"]["source"]["event_id"] == answer.headers["x-request-id"]


async def test_a_file_in_a_form_gets_the_same_scores_as_in_json(client: httpx.AsyncClient) -> None:
    by_form = await client.post("/v1/verdicts", files={"image": WINE.read_bytes()})
    by_json = await client.post("/v1/verdicts", json={"image": inline(WINE)})

    assert by_form.json()["verdict"]["scores"] == by_json.json()["verdict"]["scores"]


async def test_several_images_are_answered_in_their_order_each_for_itself(client: httpx.AsyncClient) -> None:
    images = [{"image": inline(WINE)}, {"image": {"url": "http://127.0.0.1/x.jpg"}}, {"image": inline(CAT)}]

    answer = await client.post("/v1/verdicts", json={"images": images})

    first, refused, last = answer.json()["outcomes"]
    assert answer.status_code == 200
    assert (first["verdict"]["decision"], last["verdict"]["decision"]) == ("review", "allow")
    assert refused["error"]["code"] == "image.address_not_allowed"


async def test_tags_come_without_a_verdict(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/tags", json={"image": inline(WINE)})

    assert answer.json()["verdict"] is None
    first, *_ = answer.json()["tags"]["attributes"].values()
    assert first[0]["value"] == "red wine"


async def test_an_image_that_cannot_be_judged_is_an_error_with_its_reason(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/verdicts", files={"image": b"no image"})

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "image.unsupported_format"


async def test_without_a_key_nothing_is_judged(api: RunningApi) -> None:
    async with httpx.AsyncClient(base_url=api.url) as stranger:
        answer = await stranger.post("/v1/verdicts", json={"image": inline(WINE)})

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "access.key_missing"


async def test_health_needs_no_key_and_has_the_fields_of_the_article(api: RunningApi) -> None:
    async with httpx.AsyncClient(base_url=api.url) as stranger:
        answer = await stranger.get("/health")

    assert answer.json()["status"] == "ok"
    assert "gpu_memory_used" in answer.json()


async def test_policies_are_listed_with_their_thresholds(client: httpx.AsyncClient) -> None:
    (policy,) = (await client.get("/v1/policies")).json()["policies"]

    assert policy["is_default"]
    assert policy["categories"]["alcohol"]["review"] == 0.4
    assert policy["categories"]["alcohol"]["frames"] == 1
    assert policy["first_pass"] is None


async def test_the_openapi_document_describes_the_routes(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()

    assert {"/health", "/v1/verdicts", "/v1/tags", "/v1/policies"} <= document["paths"].keys()
    assert "ImageRequest" in document["components"]["schemas"]
