"""The whole service on Apache Kafka with a real Qwen3-VL, in its own process and behind `vllm serve`."""

import os
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from aiokafka import ConsumerRecord

from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.cli.exits import ExitCode
from service.runtime.process_tree import descendants
from testing.house import House
from testing.kafka import KafkaBroker, free_port
from testing.metrics import Scrape, parsed
from testing.scene_events import SceneEvent, right_shares, scene_events, wrong_verdicts
from testing.service import running_service
from testing.shapes_policy import write_shapes_policy
from testing.topics import CommittedReader, committed_reader, publish
from testing.vllm import ENVIRONMENT, tiny_settings
from testing.vllm_server import VllmServer
from testing.waiting import wait_until

# The service starts the engine twice: 25 s of CPU each, on a machine that may be busy.
pytestmark = [
    pytest.mark.docker,
    pytest.mark.engine,
    pytest.mark.timeout(1500),
    pytest.mark.asyncio(loop_scope="module"),
]

EVENTS = 120
# So many verdicts are the sign that the engine is in the middle of its work.
SIGN = 20
START_S = 600.0
# Held-out images that the tiny model may judge wrongly; testing/tiny_model/README.md has its figures.
MAX_WRONG = 3
# What its tags must reach there: with a model of this size, a slogan that names every shape is a matter of luck.
MIN_RIGHT = {"background": 0.95, "shapes": 0.85, "colours": 0.9, "slogan": 0.5}


@dataclass(frozen=True, slots=True)
class Story:
    """What happened, and what readers of the outcomes saw in the end."""

    events: Sequence[SceneEvent]
    seen_before: int
    """Outcomes that were committed before the engine was killed."""
    exit_code: int | None
    """Of the service that lost its engine; None if it went on."""
    verdicts: Sequence[VerdictV1]
    tags: Sequence[TagsV1]
    dead_letters: Sequence[ConsumerRecord]
    scrape: Scrape | None
    """Of the service with the engine in its process, once it had nothing more to do."""

    @property
    def verdict_of(self) -> Mapping[str, VerdictV1]:
        """Verdicts by image."""
        return {verdict.image_id: verdict for verdict in self.verdicts}


async def prepared_house(kafka: KafkaBroker, folder: Path, engine: Mapping[str, object]) -> House:
    """Return topics with all events, and settings that name the shapes' policy and an engine."""
    house = House(kafka)
    await house.build()
    uploads = [event.encode() for event in scene_events(EVENTS)]
    await publish(house.bootstrap_servers, house.uploads, [(None, upload, []) for upload in uploads])
    house.settings |= {
        "engine": {**engine, "timeout_s": 120.0},
        "policy": {"path": str(write_shapes_policy(folder)), "default": "shapes"},
        "window": {"max_records": 16},
    }
    return house


def wanted() -> int:
    """Return how many outcomes there are to be."""
    return EVENTS + sum(event.wants_tags for event in scene_events(EVENTS))


def reported(
    house: House, reader: CommittedReader, *, seen_before: int, exit_code: int | None, scrape: Scrape | None = None
) -> Story:
    return Story(
        scene_events(EVENTS),
        seen_before,
        exit_code,
        [VerdictV1.model_validate_json(record.value) for record in reader.of(house.verdicts)],
        [TagsV1.model_validate_json(record.value) for record in reader.of(house.tags)],
        reader.of(house.dead_letters),
        scrape,
    )


async def finish(reader: CommittedReader) -> None:
    await reader.until(wanted(), timeout_s=START_S)
    await reader.linger(quiet_s=5.0)


def kill_engine(pid: int) -> None:
    """Kill what is called an engine below a process."""
    (core,) = (each.pid for each in descendants(pid) if "EngineCore" in " ".join(each.cmdline()))
    os.kill(core, signal.SIGKILL)


async def scrape_of(port: int) -> Scrape:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        return parsed(await answer.text())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def in_process(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The engine in the service's process is killed; the service ends, and is started again."""
    folder = tmp_path_factory.mktemp("in_process")
    os.environ.update(ENVIRONMENT)
    settings = tiny_settings(startup_timeout_s=START_S).model_dump(mode="json", exclude_defaults=True)
    house = await prepared_house(kafka, folder, {"kind": "vllm", "vllm": settings})
    async with committed_reader(house.bootstrap_servers, house.outcomes) as reader:
        with running_service(folder, house.settings) as service:
            await reader.until(SIGN, timeout_s=START_S)
            kill_engine(service.pid)
            exit_code = service.wait()
            await reader.linger()
            seen = len(reader.records)
        port = free_port()
        with running_service(folder, house.settings | {"monitoring": {"port": port}}):
            await finish(reader)
            scrape = await scrape_of(port)
        return reported(house, reader, seen_before=seen, exit_code=exit_code, scrape=scrape)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def behind_http(
    kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory, tiny_server: VllmServer, v2_server: VllmServer
) -> Story:
    """One of two servers loses its engine, and the service is killed on top of that and started again."""
    folder = tmp_path_factory.mktemp("behind_http")
    engine = {"kind": "openai", "openai": {"base_urls": [tiny_server.url, v2_server.url]}}
    house = await prepared_house(kafka, folder, engine)
    async with committed_reader(house.bootstrap_servers, house.outcomes) as reader:
        with running_service(folder, house.settings) as service:
            await reader.until(SIGN, timeout_s=START_S)
            kill_engine(v2_server.process_id)
            await reader.until(2 * SIGN, timeout_s=START_S)
            service.signal(signal.SIGKILL)
            await wait_until(lambda: not service.is_running(), description="the service ended")
            await reader.linger()
            seen = len(reader.records)
        with running_service(folder, house.settings):
            await finish(reader)
        return reported(house, reader, seen_before=seen, exit_code=None)


@pytest.fixture(params=["in_process", "behind_http"])
def story(request: pytest.FixtureRequest) -> Story:
    """Either engine's."""
    reported_story: Story = request.getfixturevalue(request.param)
    return reported_story


async def test_an_engine_that_is_killed_ends_the_service_uncommitted(in_process: Story) -> None:
    assert in_process.exit_code == ExitCode.FATAL
    assert 0 < in_process.seen_before < wanted(), "the engine was to be killed in the middle"


async def test_vllms_own_count_of_tokens_is_scraped_and_agrees_with_the_services(in_process: Story) -> None:
    assert in_process.scrape is not None
    generated = in_process.scrape.value("modstream_engine_tokens_total", kind="generated")
    assert generated > 0
    assert in_process.scrape.value("vllm:generation_tokens_total") == generated


async def test_nothing_is_lost_or_doubled(story: Story) -> None:
    assert Counter(verdict.image_id for verdict in story.verdicts) == {event.image_id: 1 for event in story.events}
    tagged = {event.image_id: 1 for event in story.events if event.wants_tags}
    assert Counter(tags.image_id for tags in story.tags) == tagged
    assert story.dead_letters == []


async def test_verdicts_are_right(story: Story) -> None:
    assert len(wrong_verdicts(story.events, story.verdict_of)) <= MAX_WRONG


async def test_tags_are_right(story: Story) -> None:
    assert all(tags.complete for tags in story.tags)
    shares = right_shares(story.events, {tags.image_id: tags for tags in story.tags})
    assert {name: share for name, share in shares.items() if share < MIN_RIGHT[name]} == {}


async def test_verdicts_name_what_produced_them(story: Story) -> None:
    for verdict in story.verdicts:
        assert verdict.engine in {"vllm", "openai"}
        assert (verdict.label_source, verdict.policy.name) == ("exact", "shapes")
        assert None not in (verdict.prompt_hash, verdict.label_map, verdict.preprocessing, verdict.label_mass)
