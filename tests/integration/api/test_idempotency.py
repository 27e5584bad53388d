import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from service.settings.settings import Settings
from testing.http_api import RunningApi, running_api
from testing.photographs import CAT, WINE, inline
from testing.waiting import wait_until

pytestmark = pytest.mark.asyncio(loop_scope="module")

REPLAYED = "idempotent-replayed"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api() -> AsyncIterator[RunningApi]:
    async with running_api(Settings.model_validate({"api": {"max_requests": 1, "max_waiting": 1}})) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=api.url, headers=api.headers, timeout=30) as client:
        yield client


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


@pytest.mark.parametrize("path", ["/v1/verdicts", "/v1/tags"])
async def test_a_repeated_request_gets_the_same_answer(client: httpx.AsyncClient, path: str) -> None:
    body = {"image": inline(WINE)}
    first = await client.post(path, json=body, headers=keyed(path))
    second = await client.post(path, json=body, headers=keyed(path))

    assert second.json() == first.json()
    assert second.headers[REPLAYED] == "true"
    assert REPLAYED not in first.headers
    assert second.headers["x-request-id"] != first.headers["x-request-id"]


async def test_moderations_are_answered_once(client: httpx.AsyncClient) -> None:
    url = f"data:image/jpeg;base64,{inline(WINE)['inline']}"
    body = {"input": [{"type": "image_url", "image_url": {"url": url}}]}
    first = await client.post("/v1/moderations", json=body, headers=keyed("m"))
    second = await client.post("/v1/moderations", json=body, headers=keyed("m"))

    assert first.json()["id"] == second.json()["id"]
    assert second.headers[REPLAYED] == "true"


async def test_a_form_is_the_same_whatever_its_boundary(client: httpx.AsyncClient) -> None:
    for is_repeated in (False, True):
        answer = await client.post("/v1/verdicts", files={"image": WINE.read_bytes()}, headers=keyed("form"))
        assert answer.status_code == 200
        assert (answer.headers.get(REPLAYED) == "true") == is_repeated

    other = await client.post("/v1/verdicts", files={"image": CAT.read_bytes()}, headers=keyed("form"))
    assert other.json()["error"]["code"] == "api.idempotency_mismatch"


async def test_another_body_or_route_with_the_key_is_refused(client: httpx.AsyncClient) -> None:
    await client.post("/v1/verdicts", json={"image": inline(WINE)}, headers=keyed("a"))

    other_body = await client.post("/v1/verdicts", json={"image": inline(CAT)}, headers=keyed("a"))
    other_route = await client.post("/v1/tags", json={"image": inline(WINE)}, headers=keyed("a"))

    assert (other_body.status_code, other_route.status_code) == (422, 422)
    assert other_body.json()["error"]["code"] == "api.idempotency_mismatch"


async def test_an_image_that_cannot_be_judged_is_answered_once(client: httpx.AsyncClient) -> None:
    for is_repeated in (False, True):
        answer = await client.post("/v1/verdicts", files={"image": b"no image"}, headers=keyed("broken"))
        assert answer.status_code == 422
        assert (REPLAYED in answer.headers) == is_repeated


@pytest.mark.parametrize("several", [False, True])
async def test_a_busy_service_may_be_asked_again_with_the_key(
    api: RunningApi, client: httpx.AsyncClient, several: bool
) -> None:
    body = {"images": [{"image": inline(CAT)}]} if several else {"image": inline(CAT)}
    async with api.run.places.place("default"):
        waiting = asyncio.create_task(client.post("/v1/verdicts", json={"image": inline(CAT)}))
        await wait_until(lambda: api.run.places.waiting == 1, description="one request waits")
        refused = await client.post("/v1/verdicts", json=body, headers=keyed(f"busy-{several}"))
    await waiting
    answer = await client.post("/v1/verdicts", json=body, headers=keyed(f"busy-{several}"))

    assert refused.status_code == (200 if several else 429)
    assert "api.busy" in refused.text
    assert answer.status_code == 200
    assert REPLAYED not in answer.headers
    assert "allow" in answer.text


async def test_a_client_that_leaves_does_not_spoil_its_key(api: RunningApi, client: httpx.AsyncClient) -> None:
    body = {"image": inline(CAT)}
    async with api.run.places.place("default"):
        leaving = asyncio.create_task(client.post("/v1/verdicts", json=body, headers=keyed("left")))
        await wait_until(lambda: api.run.places.waiting == 1, description="the request waits for its place")
        leaving.cancel()
        await wait_until(lambda: api.run.places.waiting == 0, description="its handler has ended")
    answer = await client.post("/v1/verdicts", json=body, headers=keyed("left"))

    assert answer.status_code == 200
    assert REPLAYED not in answer.headers


@pytest.mark.parametrize("key", ["", "x" * 256, "a b"])
async def test_a_key_that_can_be_none_is_refused(client: httpx.AsyncClient, key: str) -> None:
    answer = await client.post("/v1/verdicts", json={"image": inline(CAT)}, headers=keyed(key))

    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "api.idempotency_key_invalid"
