"""Policies and an engine on trial, on Apache Kafka: however they fail, the live outcomes are the same."""

import asyncio
import json
import signal
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest

from schemas.shadow import ShadowDecisionV1
from service.app.shadows import BackgroundRecords
from service.delivery.processor import Processor
from service.inference.engine import EngineOutput, EngineRequest
from service.kafka.connection import KafkaConnection
from service.kafka.steady_publisher import SteadyPublisher
from service.moderation.engine_client import EngineClient
from service.moderation.loop_share import LoopShare
from service.moderation.moderate import Moderator
from service.moderation.reading import read_upload
from service.moderation.shadow import Judgement, Shadow, Shadows, count_left_out
from service.moderation.shadow_policies import ShadowPolicies, TrialPolicies
from service.policy.loader import load_policies
from service.settings.settings import PolicySettings, Settings
from service.settings.shadow import ShadowEngineSettings
from testing.engine import PaintedEngine
from testing.house import House, inline
from testing.kafka import KafkaBroker, free_port
from testing.metrics import counting, scraped
from testing.service import running_service
from testing.topics import CommittedReader, committed_reader, create_topics, publish
from testing.waiting import wait_until
from tests.integration.service.test_service_on_kafka import small_image
from tests.unit.moderation.album import Album
from tests.unit.moderation.shadow_parts import trial
from tests.unit.moderation.test_shadow_engine import OnTrial

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240)]

EVENTS = 400
FEW = 25
BROKEN = "name: default\nversion: broken\ncategories: {weapons: {review: 2}}\n"
STRICT = "name: default\nversion: strict\ncategories: {child_safety: {review: 0.1}, sexual_explicit: {review: 0.0}}\n"


class Raising:
    """A shadow with a defect."""

    def offer(self, judgement: Judgement) -> None:
        """Raise."""
        raise RecursionError(judgement.verdict.image_id)

    def warnings(self) -> list[str]:
        """Have none."""
        return []


class Hanging(PaintedEngine):
    """An engine that never answers."""

    async def judge(self, request: EngineRequest) -> EngineOutput:
        """Wait for ever."""
        self.requests.append(request)
        await asyncio.Event().wait()
        raise AssertionError


def colour(number: int) -> tuple[int, int, int]:
    return (number % 256, number * 7 % 256, number * 31 % 256)


async def live_outcomes(kafka: KafkaBroker, shadows: Sequence[Shadow]) -> dict[str, Any]:
    """Return what is committed about many images, by image, with shadows beside."""
    house = House(kafka)
    await house.build(partitions=1)
    names = [f"image-{number}" for number in range(EVENTS)]
    events = [{"image_id": name, "image": {"url": name}} for name in names]
    await publish(house.bootstrap_servers, house.uploads, [(None, orjson.dumps(event), []) for event in events])
    settings = Settings.model_validate(house.settings)
    album = Album(**{name: [colour(number)] for number, name in enumerate(names)})
    moderator = Moderator(
        fetcher=album,
        decoder=album,
        engine_client=EngineClient(PaintedEngine(explains=False), timeout_s=5.0),
        policies=load_policies(PolicySettings()),
        topics=settings.topics,
        shadows=Shadows(shadows),
    )
    processor = Processor(settings, moderator, read=read_upload)
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        group.create_task(processor.run())
        async with committed_reader(house.bootstrap_servers, house.outcomes) as reader:
            await reader.until(EVENTS)
            await reader.linger()
        processor.drain()
    return by_image(reader, house)


def by_image(reader: CommittedReader, house: House) -> dict[str, Any]:
    """Return the verdicts without what differs from run to run."""
    assert len(reader.of(house.verdicts)) == len(reader.records)
    found = {}
    for record in reader.records:
        value = json.loads(record.value)
        offset = value.pop("source")["offset"]
        del value["timings_ms"], value["moderated_at"]
        found[value["image_id"]] = (offset, value)
    assert len(found) == len(reader.records)
    return found


async def test_shadows_that_raise_hang_and_flood_leave_every_outcome_as_it_is(kafka: KafkaBroker) -> None:
    without = await live_outcomes(kafka, [])
    settings = Settings.model_validate({"kafka": {"bootstrap_servers": kafka.bootstrap_servers}})
    steady = SteadyPublisher(KafkaConnection(settings.kafka), is_idempotent=True, timeout_s=1.0)
    records = BackgroundRecords(
        steady,
        setting="topics.shadow",
        count_lost=lambda records: count_left_out("records", "not_published", records),
    )
    flooding = ShadowPolicies(
        TrialPolicies([trial(version=str(number)) for number in range(50)], live={"default"}),
        publisher=records,
        topic=f"missing-{uuid4().hex[:8]}",
        max_waiting=20,
        share=LoopShare(0.05),
    )
    hanging = OnTrial(Hanging(), ShadowEngineSettings(kind="openai", share=1.0, timeout_s=0.5))
    decides = asyncio.create_task(flooding.run())
    with counting() as metrics:
        async with hanging.running():
            with_shadows = await live_outcomes(kafka, [Raising(), hanging.shadow, flooding])
            await wait_until(lambda: bool(records.warnings()), description="the missing topic is noticed")
        scrape = scraped(metrics)
    decides.cancel()
    await asyncio.wait([decides])
    await steady.close()
    assert with_shadows == without
    assert len(without) == EVENTS
    left_out = "modstream_shadow_left_out_total"
    assert scrape.value(left_out, part="offer", reason="failed") == EVENTS
    assert scrape.value(left_out, part="engine", reason="queue_full") > 0
    assert scrape.value(left_out, part="policies", reason="queue_full") > 0
    assert scrape.value(left_out, part="records", reason="not_published") > 0


async def test_a_policy_on_trial_is_published_beside_verdicts_and_what_is_broken_ends_nothing(
    kafka: KafkaBroker, tmp_path: Path
) -> None:
    house, topic, port = House(kafka), f"shadow-{uuid4().hex[:8]}", free_port()
    await house.build(partitions=1)
    await create_topics(house.bootstrap_servers, [topic], partitions=1)
    trials = tmp_path / "trials"
    trials.mkdir()
    (trials / "broken.yaml").write_text(BROKEN)
    (trials / "strict.yaml").write_text(STRICT)
    engine = {"kind": "openai", "share": 1.0, "openai": {"base_urls": [f"http://127.0.0.1:{free_port()}"]}}
    settings = house.settings | {
        "topics": {**house.settings["topics"], "shadow": topic},  # type: ignore[dict-item]  # it holds a mapping
        "shadow": {"policies": str(trials), "engine": engine},
        "monitoring": {"port": port},
    }
    events = [{"image_id": str(number), "image": inline(small_image(number))} for number in range(FEW)]
    await publish(house.bootstrap_servers, house.uploads, [(b"k", orjson.dumps(event), []) for event in events])
    with running_service(tmp_path, settings) as service:
        async with committed_reader(house.bootstrap_servers, [*house.outcomes]) as reader:
            await reader.until(FEW)
        health = await asyncio.to_thread(read_json, f"http://127.0.0.1:{port}/health")
        service.signal(signal.SIGTERM)
        assert await asyncio.to_thread(service.wait) == 0, service.log()
    assert health["status"] == "degraded"
    assert any("shadow.policies has files that are left out" in warning for warning in health["warnings"])
    assert "broken.yaml, line 3" in service.log()
    async with committed_reader(house.bootstrap_servers, [topic]) as reader:
        await reader.until(FEW)
        await reader.linger()
    found = [ShadowDecisionV1.model_validate_json(record.value) for record in reader.records]
    assert {each.image_id for each in found} == {str(number) for number in range(FEW)}
    assert {record.key for record in reader.records} == {b"k"}
    assert len({dict(record.headers)["ce_id"] for record in reader.records}) == FEW
    for each in found:
        (strict,) = each.policies
        assert (each.live.decision, strict.policy.version, strict.decision) == ("allow", "strict", "review")
        assert (strict.deciding_category, strict.agrees, each.engine) == ("sexual_explicit", False, None)


def read_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - of this machine
        return json.load(answer)
