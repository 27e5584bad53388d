import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from service.api.callers.api_keys import new_key
from service.settings.settings import Settings
from testing.http_api import RunningApi, running_api
from testing.photographs import CAT, WINE, inline

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api() -> AsyncIterator[RunningApi]:
    async with running_api() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=api.url, headers=api.headers, timeout=30) as client:
        yield client


async def test_a_verdict_of_a_request_is_held(client: httpx.AsyncClient) -> None:
    judged = (await client.post("/v1/verdicts", json={"image": inline(WINE)})).json()

    held = await client.get(f"/v1/verdicts/{judged['image_id']}")

    assert held.status_code == 200
    assert held.json() == judged


async def test_an_id_may_hold_any_characters(client: httpx.AsyncClient) -> None:
    image_id = "2026/März/42 ?#%.jpg"
    await client.post("/v1/verdicts", json={"image_id": image_id, "image": inline(CAT)})

    held = await client.get("/v1/verdicts/2026%2FM%C3%A4rz%2F42%20%3F%23%25.jpg")

    assert held.json()["image_id"] == image_id


async def test_a_line_of_a_batch_is_held(client: httpx.AsyncClient) -> None:
    line = json.dumps({"image_id": "line", "image": inline(CAT), "tasks": ["moderation", "tags"]})
    await client.post("/v1/verdicts/batch", content=line, headers={"Content-Type": "application/x-ndjson"})

    held = (await client.get("/v1/verdicts/line")).json()

    assert held["verdict"]["decision"] == "allow"
    assert held["tags"] is not None


async def test_what_is_not_held_answers_404_with_where_to_look(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/verdicts/never")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "api.verdict_unknown"
    assert "api.stored_verdicts" in answer.json()["error"]["message"]


async def test_without_a_stream_an_answer_for_later_is_given_at_once(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/verdicts", json={"image": inline(CAT)}, headers={"Prefer": "respond-async"})

    assert answer.status_code == 200
    assert answer.json()["verdict"]["decision"] == "allow"
    assert "preference-applied" not in answer.headers


async def test_a_verdict_is_read_by_its_tenant_with_the_scope_alone(tmp_path: Path) -> None:
    keys = {
        "writer": new_key(tenant="shop", scopes=("moderate",)),
        "reader": new_key(tenant="shop", scopes=("read",)),
        "stranger": new_key(tenant="other", scopes=("read",)),
        "operator": new_key(tenant="other", scopes=("read", "tenants")),
    }
    path = tmp_path / "keys.json"
    path.write_text(json.dumps([key.entry.model_dump(mode="json", exclude_none=True) for key in keys.values()]))
    headers = {name: {"Authorization": f"Bearer {key.text}"} for name, key in keys.items()}
    settings = Settings.model_validate({"api": {"keys_file": str(path)}})
    async with running_api(settings) as api, httpx.AsyncClient(base_url=api.url) as client:
        await client.post("/v1/verdicts", json={"image_id": "7", "image": inline(CAT)}, headers=headers["writer"])

        status = {
            name: (await client.get("/v1/verdicts/7", headers=each)).status_code for name, each in headers.items()
        }
        named = {
            name: (await client.get("/v1/verdicts/7?tenant=shop", headers=headers[name])).status_code
            for name in ("stranger", "operator")
        }

    assert status == {"writer": 403, "reader": 200, "stranger": 404, "operator": 404}
    assert named == {"stranger": 403, "operator": 200}


async def test_nothing_is_held_where_that_is_off() -> None:
    settings = Settings.model_validate({"api": {"stored_verdicts": 0}})
    async with running_api(settings) as api, httpx.AsyncClient(base_url=api.url, headers=api.headers) as client:
        await client.post("/v1/verdicts", json={"image_id": "7", "image": inline(CAT)})
        assert (await client.get("/v1/verdicts/7")).status_code == 404


async def test_the_openapi_document_describes_batches_keys_preferences_and_lookups(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/openapi.json")).json()["paths"]

    batch = paths["/v1/verdicts/batch"]["post"]
    headers = {each["name"] for each in paths["/v1/verdicts"]["post"]["parameters"]}
    assert headers == {"Idempotency-Key", "Prefer"}
    assert {each["name"] for each in batch["parameters"]} == {"order", "progress_s"}
    assert batch["requestBody"]["content"]["application/x-ndjson"]["examples"]
    assert "application/x-ndjson" in batch["responses"]["200"]["content"]
    assert {"200", "202", "404"} <= paths["/v1/verdicts/{image_id}"]["get"]["responses"].keys()
    assert "Idempotency-Key" in {each["name"] for each in paths["/v1/moderations"]["post"]["parameters"]}
