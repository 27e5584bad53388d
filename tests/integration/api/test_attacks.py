"""Requests of attackers against the running API: what they must not learn, use up, or break."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from service.api.callers.api_keys import new_key
from service.api.callers.keys_editing import add_key
from service.cli.try_files import PHOTOGRAPHS
from service.policy.policy_files import policy_paths
from service.settings.api import ApiSettings
from service.settings.settings import PolicySettings, Settings
from testing.http_api import RunningApi, running_api

SHOP = new_key(key_id="shop", tenant="shop")
LIMITED = new_key(key_id="limited", tenant="shop", requests_per_s=0.01, burst=2)

URL_PART = {"type": "image_url", "image_url": {"url": "http://127.0.0.1/x.jpg"}}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("api")
    for each in (SHOP, LIMITED):
        add_key(folder / "keys.yaml", each.entry)
    policies = folder / "policies"
    policies.mkdir()
    (bundled,) = policy_paths(None)
    (policies / "default.yaml").write_text(bundled.read_text())
    foreign = bundled.read_text().replace("name: default", "name: launch-2027\ntenants: [rival]", 1)
    (policies / "foreign.yaml").write_text(foreign)
    return Settings(api=ApiSettings(keys_file=folder / "keys.yaml"), policy=PolicySettings(path=policies))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(settings: Settings) -> AsyncIterator[RunningApi]:
    async with running_api(settings) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(api: RunningApi) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=api.url, headers={"api-key": SHOP.text}, timeout=30) as client:
        yield client


pytestmark = pytest.mark.asyncio(loop_scope="module")


def form() -> dict[str, bytes]:
    return {"image": (PHOTOGRAPHS / "wine.jpg").read_bytes()}


async def test_another_tenants_policy_is_as_unknown_as_one_that_does_not_exist(client: httpx.AsyncClient) -> None:
    async def errors(policy: str) -> list[str]:
        answers = [
            await client.post("/v1/verdicts", files=form(), data={"policy": policy}),
            await client.post("/v1/tags", files=form(), data={"policy": policy}),
            await client.post("/v1/moderations", json={"input": [URL_PART], "modstream": {"policy": policy}}),
            await client.post("/v1/moderations", json={"input": [URL_PART]}, headers={"modstream-policy": policy}),
        ]
        return [f"{each.status_code} {each.json()['error']}".replace(policy, "…") for each in answers]

    assert await errors("launch-2027") == await errors("no-such-one")
    assert "launch" not in (await client.get("/v1/policies")).text


@pytest.mark.parametrize("charset", ["undefined", "punycode", "rot13", "utf-16"])
async def test_a_form_in_an_unusual_charset_is_no_defect(client: httpx.AsyncClient, charset: str) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="\xff"; filename="\xfe"\r\n\r\nx\r\n--b--\r\n'
    content_type = f"multipart/form-data; boundary=b; charset={charset}"
    answer = await client.post("/v1/verdicts", content=body, headers={"Content-Type": content_type})

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "api.body_invalid")


@pytest.mark.parametrize("path", ["/v1/moderations/", "/v1/policies/", "/docs/", "/v1/tags%2f"])
async def test_no_answer_sends_a_client_with_its_key_elsewhere(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, headers={"Host": "evil.example"})

    assert answer.status_code == 404
    assert "location" not in answer.headers


async def test_no_proxy_keeps_what_was_answered_to_one_caller(client: httpx.AsyncClient) -> None:
    answers = [
        await client.post("/v1/verdicts", files=form()),
        await client.get("/v1/policies"),
        await client.get("/health"),
        await client.get("/nowhere"),
    ]
    assert {each.headers["cache-control"] for each in answers} == {"no-store"}
    assert {each.headers["x-content-type-options"] for each in answers} == {"nosniff"}
    assert (await client.get("/")).headers["cache-control"] == "no-cache"


async def test_requests_that_fail_count_towards_the_limit_of_their_key(api: RunningApi) -> None:
    async with httpx.AsyncClient(base_url=api.url, headers={"api-key": LIMITED.text}) as client:
        answers = [
            await client.post("/v1/verdicts", content=b"no JSON"),
            await client.get("/v1/policies"),
            await client.get("/v1/policies"),
        ]
    assert [each.status_code for each in answers] == [400, 200, 429]
