"""The HTTP API beside the stream, on Apache Kafka: images go into the topic of uploads, and outcomes come back."""

import asyncio
import io
import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from schemas.verdict import VerdictV1
from service.api.callers.api_keys import new_key
from testing.house import House, inline
from testing.kafka import KafkaBroker, free_port
from testing.photographs import WINE
from testing.service import ServiceProcess, running_service
from testing.topics import committed_reader, publish
from testing.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

ASYNC = {"Prefer": "respond-async"}
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


class Caller:
    """A key for the API of one house, and clients with it."""

    def __init__(self, house: House, folder: Path, **api: object) -> None:
        self._port = free_port()
        self._key, stranger = new_key(tenant="shop"), new_key(tenant="other")
        self.stranger = {"Authorization": f"Bearer {stranger.text}"}
        path = folder / "keys.json"
        path.write_text(
            json.dumps([key.entry.model_dump(mode="json", exclude_none=True) for key in (self._key, stranger)])
        )
        self.settings = house.settings | {"api": {"port": self._port, "keys_file": str(path)} | api}

    def client(self) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {self._key.text}"}
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self._port}", headers=headers, timeout=60)


def grey_square() -> bytes:
    """Return a PNG that takes next to nothing to decode."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "grey").save(file, "PNG")
    return file.getvalue()


async def opened(client: httpx.AsyncClient, service: ServiceProcess) -> None:
    async def answers() -> bool:
        assert service.is_running(), service.log()
        try:
            return (await client.get("/health")).status_code == 200
        except httpx.TransportError:
            return False

    await wait_until(answers, description="the API answers", timeout_s=60.0)


async def outcome_at(client: httpx.AsyncClient, location: str, *, part: str) -> dict[str, Any]:
    """Return the outcome once a part of it is there."""
    found: dict[str, Any] = {}

    async def is_there() -> bool:
        nonlocal found
        answer = await client.get(location)
        assert answer.status_code in {200, 202}, answer.text
        assert (answer.status_code == 202) == ("retry-after" in answer.headers)
        found = answer.json()
        return found[part] is not None

    await wait_until(is_there, description=f"the {part} is there", timeout_s=60.0)
    return found


async def test_an_image_that_is_accepted_gets_its_outcome_by_the_stream(kafka: KafkaBroker, tmp_path: Path) -> None:
    house = House(kafka)
    await house.build()
    caller = Caller(house, tmp_path)
    body = {"image_id": "a/b ä", "image": inline(WINE.read_bytes()), "tasks": ["moderation", "tags"]}
    traced = ASYNC | {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"}
    with running_service(tmp_path, caller.settings) as service:
        async with caller.client() as client:
            await opened(client, service)
            accepted = await client.post("/v1/verdicts", json=body, headers=traced)
            assert accepted.status_code == 202, accepted.text
            assert accepted.headers["preference-applied"] == "respond-async"
            assert accepted.json() == {"image_id": "a/b ä", "verdict": None, "tags": None, "error": None}
            outcome = await outcome_at(client, accepted.headers["location"], part="tags")
    assert outcome["verdict"]["decision"] == "review"
    assert outcome["verdict"]["tenant"] == "shop"
    assert outcome["verdict"]["source"]["topic"] == house.uploads
    async with committed_reader(house.bootstrap_servers, [house.uploads, *house.outcomes]) as reader:
        await reader.until(3)
        await reader.linger()
    upload = dict(reader.of(house.uploads)[0].headers)
    assert upload["traceparent"].decode().startswith(f"00-{TRACE_ID}-")
    assert upload["ce_source"] == b"/modstream/api"
    assert [record.topic for record in reader.records].count(house.verdicts) == 1
    assert len(reader.records) == 3


async def test_outcomes_belong_to_their_tenants_and_a_dead_letter_is_one(kafka: KafkaBroker, tmp_path: Path) -> None:
    house = House(kafka)
    await house.build()
    caller = Caller(house, tmp_path)
    with running_service(tmp_path, caller.settings) as service:
        async with caller.client() as client:
            await opened(client, service)
            broken = await client.post("/v1/verdicts", files={"image": ("x.jpg", b"no image")}, headers=ASYNC)
            failure = await outcome_at(client, broken.headers["location"], part="error")
            foreign = await client.get(broken.headers["location"], headers=caller.stranger)
            direct = await client.post("/v1/verdicts", json={"image_id": "7", "image": inline(WINE.read_bytes())})
            held = await client.get("/v1/verdicts/7")
    assert failure["error"]["code"] == "image.unsupported_format"
    assert foreign.status_code == 404
    assert house.verdicts in foreign.json()["error"]["message"]
    assert held.json()["verdict"] == direct.json()["verdict"]
    assert held.json()["verdict"]["source"]["topic"] == "/v1/verdicts"


async def test_accepted_images_are_judged_once_though_the_service_is_killed(kafka: KafkaBroker, tmp_path: Path) -> None:
    house = House(kafka)
    await house.build()
    caller = Caller(house, tmp_path)
    ids = [f"image-{number}" for number in range(40)]
    image = inline(WINE.read_bytes())
    async with caller.client() as client:
        with running_service(tmp_path, caller.settings) as service:
            await opened(client, service)
            bodies = [{"image_id": name, "image": image} for name in ids]
            answers = await asyncio.gather(*(client.post("/v1/verdicts", json=each, headers=ASYNC) for each in bodies))
            assert {answer.status_code for answer in answers} == {202}
            service.signal(signal.SIGKILL)
            service.wait()
        with running_service(tmp_path, caller.settings) as service:
            await opened(client, service)
            async with committed_reader(house.bootstrap_servers, [house.verdicts]) as reader:
                await reader.until(len(ids))
                await reader.linger()

            async def is_held() -> bool:
                return (await client.get(f"/v1/verdicts/{ids[0]}")).status_code == 200

            await wait_until(is_held, description="what was published before is held, too")
    judged = Counter(VerdictV1.model_validate_json(record.value).image_id for record in reader.records)
    assert judged == dict.fromkeys(ids, 1)


async def test_brokers_that_do_not_answer_are_a_failure_that_passes(kafka: KafkaBroker, tmp_path: Path) -> None:
    house = House(kafka)
    await house.build()
    caller = Caller(house, tmp_path, timeout_s=2.0)
    body = {"image": inline(WINE.read_bytes())}
    with running_service(tmp_path, caller.settings) as service:
        async with caller.client() as client:
            await opened(client, service)
            assert (await client.post("/v1/verdicts", json=body, headers=ASYNC)).status_code == 202
            kafka.pause()
            try:
                refused = await client.post("/v1/verdicts", json=body, headers=ASYNC)
            finally:
                kafka.unpause()
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "api.stream_unavailable")

            async def is_accepted() -> bool:
                return (await client.post("/v1/verdicts", json=body, headers=ASYNC)).status_code == 202

            await wait_until(is_accepted, description="images are accepted again")


async def test_an_image_too_large_for_the_topic_is_refused(kafka: KafkaBroker, tmp_path: Path) -> None:
    house = House(kafka)
    await house.build()
    caller = Caller(house, tmp_path)
    with running_service(tmp_path, caller.settings) as service:
        async with caller.client() as client:
            await opened(client, service)
            files = {"image": b"x" * 1_000_000}
            answer = await client.post("/v1/verdicts", files=files, headers=ASYNC)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "event.too_large")


async def test_a_backlog_and_a_flood_of_requests_share_the_engine_as_the_settings_say(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    house = House(kafka)
    await house.build()
    caller = Caller(house, tmp_path, share=0.25)
    slow = {"kind": "rehearsal", "rehearsal": {"batch_size": 8, "batch_s": 0.2}}  # 40 images a second
    image = inline(grey_square())
    bodies = [json.dumps({"image_id": str(number), "image": image}).encode() for number in range(600)]
    await publish(house.bootstrap_servers, house.uploads, [(None, body, []) for body in bodies])
    flood: list[VerdictV1] = []

    async def send_again_and_again(client: httpx.AsyncClient) -> None:
        while len(flood) < 200:
            answer = await client.post("/v1/verdicts", json={"image": image})
            flood.append(VerdictV1.model_validate(answer.json()["verdict"]))

    with running_service(tmp_path, caller.settings | {"engine": slow}) as service:
        async with caller.client() as client:
            await opened(client, service)
            await asyncio.gather(*(send_again_and_again(client) for _ in range(32)))
        async with committed_reader(house.bootstrap_servers, [house.verdicts]) as reader:
            await reader.until(400)
    stream = sorted(VerdictV1.model_validate_json(record.value).moderated_at for record in reader.records)
    requests = sorted(verdict.moderated_at for verdict in flood)
    both = [(moment, side) for side, moments in (("api", requests), ("stream", stream)) for moment in moments]
    while_both_wait = [side for moment, side in both if stream[0] < moment < min(requests[-32], stream[-1])]
    assert len(while_both_wait) > 150
    assert while_both_wait.count("api") / len(while_both_wait) == pytest.approx(0.25, abs=0.08)
