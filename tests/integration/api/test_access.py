"""Every route of the running API refuses callers without a key, and those whose key may not do what they ask."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from service.api.callers.api_keys import NewKey, new_key
from service.api.callers.keys_editing import add_key, revoke_key
from service.settings.api import ApiSettings
from service.settings.settings import Settings
from testing.http_api import RunningApi, running_api
from testing.waiting import wait_until

NOW = datetime.now(UTC)
IMAGE = {"image": {"url": "http://127.0.0.1/x.jpg"}}
FOREIGN = {"tenant": "shoes", **IMAGE}

MODERATOR = new_key(key_id="moderator", tenant="shop", scopes=("moderate",))
READER = new_key(key_id="reader", tenant="shop", scopes=("read",))
LEAVER = new_key(key_id="leaver", scopes=("read",))
GATEWAY = new_key(key_id="gateway", tenant="gateway", scopes=("moderate", "tenants"))
LIMITED = new_key(key_id="limited", scopes=("moderate",), images_per_s=0.01, burst=2)
EXPIRED = new_key(key_id="expired", expires=NOW - timedelta(seconds=1))

WITHOUT_KEY = {"/health", "/"}
"""Routes for orchestrators and browsers."""


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.yaml"
    for each in (MODERATOR, READER, LEAVER, GATEWAY, LIMITED, EXPIRED):
        add_key(path, each.entry)
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(keys_file: Path) -> AsyncIterator[RunningApi]:
    async with running_api(Settings(api=ApiSettings(keys_file=keys_file))) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=api.url, timeout=30) as client:
        yield client


pytestmark = pytest.mark.asyncio(loop_scope="module")


def by(made: NewKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {made.text}"}


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_every_route_refuses_requests_without_an_accepted_key(client: httpx.AsyncClient) -> None:
    routes = (await client.get("/openapi.json")).json()["paths"]
    assert len(routes) > 2
    for path in set(routes) - WITHOUT_KEY:
        for method in routes[path]:
            for made, reason in ((None, "key_missing"), (new_key(), "key_unknown"), (EXPIRED, "key_expired")):
                answer = await client.request(method, path, headers=by(made) if made else {})
                assert code(answer) in {(401, f"access.{reason}"), (429, "access.too_many_failures")}, path
                assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)


async def test_a_scope_is_for_its_routes_alone(client: httpx.AsyncClient) -> None:
    assert code(await client.post("/v1/verdicts", headers=by(READER), json=IMAGE)) == (403, "access.scope_missing")
    assert code(await client.get("/v1/policies", headers=by(MODERATOR))) == (403, "access.scope_missing")
    assert (await client.get("/v1/policies", headers=by(READER))).status_code == 200


@pytest.mark.parametrize("body", [FOREIGN, {"images": [IMAGE, FOREIGN]}])
async def test_a_key_sends_for_its_own_tenant_alone(client: httpx.AsyncClient, body: dict[str, object]) -> None:
    answer = await client.post("/v1/verdicts", headers=by(MODERATOR), json=body)
    assert code(answer) == (403, "access.tenant_denied")


async def test_a_gateway_sends_for_any_tenant(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/verdicts", headers=by(GATEWAY), json=FOREIGN)
    assert code(answer) == (422, "image.address_not_allowed")


async def test_answers_have_the_headers_of_the_keys_limits(client: httpx.AsyncClient) -> None:
    first = await client.post("/v1/verdicts", headers=by(LIMITED), json=IMAGE)
    assert first.headers["x-ratelimit-remaining-images"] == "1"
    await client.post("/v1/verdicts", headers=by(LIMITED), json=IMAGE)
    refused = await client.post("/v1/verdicts", headers=by(LIMITED), json=IMAGE)
    assert code(refused) == (429, "access.rate_limited")
    assert int(refused.headers["retry-after"]) > 90
    assert "x-ratelimit-limit-images" not in (await client.get("/v1/policies", headers=by(READER))).headers


async def test_a_key_that_is_revoked_while_the_api_runs_is_refused(client: httpx.AsyncClient, keys_file: Path) -> None:
    assert (await client.get("/v1/policies", headers={"api-key": LEAVER.text})).status_code == 200
    revoke_key(keys_file, "leaver", NOW)

    async def is_refused() -> bool:
        return (await client.get("/v1/policies", headers=by(LEAVER))).status_code == 401

    await wait_until(is_refused, description="the revoked key is refused")
    assert code(await client.get("/v1/policies", headers=by(LEAVER))) == (401, "access.key_revoked")
