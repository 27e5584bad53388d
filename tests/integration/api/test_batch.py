import asyncio
import io
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from service.api.callers.api_keys import new_key
from service.settings.settings import Settings
from testing.http_api import RunningApi, running_api
from testing.photographs import CAT, WINE, inline
from testing.waiting import wait_until

PATH = "/v1/verdicts/batch"
LIMITS = {"max_body_bytes": 1_000_000, "max_batch_lines": 8, "timeout_s": 2.0}
NDJSON = {"Content-Type": "application/x-ndjson"}
WINE_LINE = json.dumps({"image_id": "wine", "image": inline(WINE)})
CAT_LINE = json.dumps({"image_id": "cat", "image": inline(CAT)})

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api() -> AsyncIterator[RunningApi]:
    async with running_api(Settings.model_validate({"api": LIMITS})) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(api: RunningApi) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(api.url, headers=api.headers | NDJSON) as session:
        yield session


async def posted(client: aiohttp.ClientSession, body: Any, **query: str) -> Sequence[dict[str, Any]]:
    async with client.post(PATH, data=body, params=query) as answer:
        assert answer.status == 200
        assert answer.content_type == "application/x-ndjson"
        return [json.loads(line) async for line in answer.content]


async def test_each_line_gets_its_outcome_in_order_and_the_summary_comes_last(client: aiohttp.ClientSession) -> None:
    *outcomes, summary = await posted(client, "\n".join([WINE_LINE, "", CAT_LINE]))

    assert [(each["line"], each["image_id"]) for each in outcomes] == [(1, "wine"), (3, "cat")]
    assert [each["verdict"]["decision"] for each in outcomes] == ["review", "allow"]
    assert outcomes[0]["verdict"]["source"]["topic"] == PATH
    assert summary["kind"] == "summary"
    assert summary["is_complete"]
    assert (summary["lines"], summary["decisions"]) == (2, {"review": 1, "allow": 1})


async def test_a_line_that_cannot_be_judged_has_its_error_and_the_others_go_on(client: aiohttp.ClientSession) -> None:
    lines = ["no json", '{"image": {}}', '{"image_id": "7", "image": {"url": "http://127.0.0.1/x.jpg"}}', CAT_LINE]

    *outcomes, summary = await posted(client, "\n".join(lines), order="completed")

    errors = {each["line"]: each["error"] and each["error"]["code"] for each in outcomes}
    assert errors == {1: "api.body_not_json", 2: "api.body_invalid", 3: "image.address_not_allowed", 4: None}
    assert {each["line"]: each["image_id"] for each in outcomes} == {1: None, 2: None, 3: "7", 4: "cat"}
    assert summary["is_complete"]
    assert sum(summary["errors"].values()) == 3


async def test_a_batch_may_be_larger_than_a_body_and_a_line_may_not(client: aiohttp.ClientSession) -> None:
    long = json.dumps({"image": {"url": "http://127.0.0.1/" + "x" * 1_000_000}})
    short = json.dumps({"image": {"url": "http://127.0.0.1/" + "x" * 100_000}})

    body = io.BytesIO("\n".join([short] * 20 + [long, CAT_LINE]).encode())

    *outcomes, summary = await posted(client, body)

    assert outcomes[20]["error"]["code"] == "api.line_too_long"
    assert outcomes[21]["verdict"]["decision"] == "allow"
    assert summary["lines"] == 22


async def test_outcomes_come_while_the_request_is_still_sent(client: aiohttp.ClientSession) -> None:
    has_outcome = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield CAT_LINE.encode() + b"\n"
        await has_outcome.wait()
        yield WINE_LINE.encode()

    async with client.post(PATH, data=body(), params={"progress_s": "0.1"}) as answer:
        kinds = []
        async for line in answer.content:
            kinds.append(json.loads(line)["kind"])
            if kinds.count("progress") == 2 and "outcome" in kinds:
                has_outcome.set()

    assert kinds.count("outcome") == 2
    assert kinds[-1] == "summary"


async def test_a_client_that_leaves_ends_the_work(api: RunningApi, client: aiohttp.ClientSession) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield CAT_LINE.encode() + b"\n"

    async with client.post(PATH, data=body()) as answer:
        await answer.content.readline()
    await wait_until(lambda: api.run.places.in_work == 0, description="no image of the batch is in work")
    assert sent < 1000


async def test_a_client_that_does_not_read_is_not_read_from(client: aiohttp.ClientSession) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(200_000):
            sent += 1
            yield b"{}\n" * 100

    async with client.post(PATH, data=body()) as answer:
        last = -1
        while sent != last:
            last = sent
            await asyncio.sleep(0.5)
        assert sent < 100_000
        assert answer.connection is not None
        assert answer.connection.transport is not None
        answer.connection.transport.abort()


async def test_a_batch_of_which_nothing_comes_ends_with_its_summary(client: aiohttp.ClientSession) -> None:
    never = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield CAT_LINE.encode() + b"\n"
        await never.wait()

    async with client.post(PATH, data=body()) as answer:
        outcome, summary = [json.loads(line) async for line in answer.content]

    assert outcome["verdict"]["decision"] == "allow"
    assert not summary["is_complete"]
    assert summary["error"]["code"] == "api.batch_stalled"


async def test_a_body_that_is_no_batch_is_refused(client: aiohttp.ClientSession) -> None:
    async with client.post(PATH, data=b"{}", headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 415
        assert (await answer.json())["error"]["code"] == "api.media_type_unsupported"


async def test_further_batches_are_refused_for_a_while(api: RunningApi, client: aiohttp.ClientSession) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"{}\n"
        await asyncio.Event().wait()

    begun = [await client.post(PATH, data=body()) for _ in range(3)]
    async with client.post(PATH, data=b"{}") as answer:
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "5"
        assert (await answer.json())["error"]["code"] == "api.too_many_batches"
    for each in begun:
        each.close()


async def test_a_draining_service_answers_the_lines_in_work_and_says_why_it_reads_no_more() -> None:
    async with running_api() as own, aiohttp.ClientSession(own.url, headers=own.headers | NDJSON) as client:

        async def body() -> AsyncIterator[bytes]:
            yield CAT_LINE.encode() + b"\n"
            await asyncio.Event().wait()

        async with client.post(PATH, data=body()) as answer:
            await answer.content.readline()
            own.run.drain()
            summary = json.loads(await answer.content.readline())

    assert summary["error"]["code"] == "api.draining"


async def test_a_key_with_a_rate_limit_gets_its_outcomes_at_that_rate(tmp_path: Path) -> None:
    key = new_key(images_per_s=20, burst=1)
    path = tmp_path / "keys.yaml"
    path.write_text(json.dumps([json.loads(key.entry.model_dump_json(exclude_none=True))]))
    settings = Settings.model_validate({"api": {"keys_file": str(path)}})
    async with (
        running_api(settings) as own,
        aiohttp.ClientSession(own.url, headers=NDJSON | {"Authorization": f"Bearer {key.text}"}) as client,
    ):
        *outcomes, summary = await posted(client, "{}\n" * 11)

    assert [each["error"]["code"] for each in outcomes] == ["api.body_invalid"] * 11
    assert summary["elapsed_s"] >= 0.5
