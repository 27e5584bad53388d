"""What watches over the service, on Apache Kafka: whatever it ends, nothing is lost or comes twice."""

import base64
import io
import os
import signal
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from PIL import Image

from service.cli.exits import ExitCode
from service.runtime.process_tree import descendants
from testing.kafka import KafkaBroker
from testing.service import ServiceProcess, running_service
from testing.topics import Headers, committed_reader, create_topics, publish
from testing.vllm import ENVIRONMENT, STARTUP_TIMEOUT_S, tiny_settings
from testing.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(STARTUP_TIMEOUT_S + 400)]

EVENTS = 60
# As short as the tiny model's context: the bundled policy would fill it.
POLICY = "name: default\nversion: '1'\ncategories: {child_safety: {review: 0.1, block: 0.8}, weapons: {review: 0.5}}\n"


class Stream:
    """Topics with uploads, and what came of them."""

    def __init__(self, broker: KafkaBroker) -> None:
        name = uuid4().hex[:8]
        self._broker = broker.bootstrap_servers
        self._topics = {topic: f"{name}.{topic}" for topic in ("uploads", "verdicts", "tags", "dead_letters")}
        self._group = name

    def settings(self, **engine: object) -> dict[str, object]:
        """Return the service's settings with those of the engine."""
        return {
            "kafka": {"bootstrap_servers": self._broker, "group_id": self._group},
            "topics": self._topics,
            "media": {"decode": {"workers": 1}},
            "engine": engine,
        }

    async def fill(self) -> None:
        """Publish uploads."""
        await create_topics(self._broker, list(self._topics.values()), partitions=2)
        records: list[tuple[bytes, bytes, Headers]] = [
            (f"{number}".encode(), orjson.dumps(_upload(number)), []) for number in range(EVENTS)
        ]
        await publish(self._broker, self._topics["uploads"], records)

    async def counts(self, *, expected: int) -> Mapping[bytes, int]:
        """Return how often each key has an outcome, once there are so many."""
        outcomes = [self._topics["verdicts"], self._topics["dead_letters"]]
        async with committed_reader(self._broker, outcomes) as reader:
            await reader.until(expected, timeout_s=120.0)
            await reader.linger()
        return Counter(record.key for record in reader.records)


def _upload(number: int) -> dict[str, object]:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (number, 99, 255 - number)).save(file, "PNG")
    image = {"inline": base64.b64encode(file.getvalue()).decode(), "media_type": "image/png"}
    return {"image_id": f"{number}", "image": image}


@pytest.fixture
async def stream(kafka: KafkaBroker) -> Stream:
    stream = Stream(kafka)
    await stream.fill()
    return stream


async def finish(stream: Stream, folder: Path) -> None:
    """Let a service without limits do the rest, and check that every upload has one outcome."""
    with running_service(folder, stream.settings(kind="rehearsal")):
        assert await stream.counts(expected=EVENTS) == {f"{number}".encode(): 1 for number in range(EVENTS)}


async def test_a_service_above_its_memory_limit_drains_and_wants_to_be_started_again(
    stream: Stream, tmp_path: Path
) -> None:
    slow = {"batch_size": 4, "batch_s": 1.0}
    with running_service(tmp_path, stream.settings(kind="rehearsal", rehearsal=slow, max_memory_bytes=1)) as service:
        assert service.wait() == ExitCode.FATAL
    assert '"service.memory_limit"' in service.log()
    assert '"reason":"service.memory_limit"' in last_line(service)
    await finish(stream, tmp_path)


@pytest.mark.engine
async def test_a_service_whose_model_hangs_ends_uncommitted(stream: Stream, tmp_path: Path) -> None:
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy/default.yaml").write_text(POLICY, encoding="utf-8")
    os.environ.update(ENVIRONMENT)
    settings = stream.settings(
        kind="vllm", vllm=tiny_settings().model_dump(mode="json"), judging={"min_label_mass": 0.0}, stall_s=5.0
    )
    with running_service(tmp_path, {**settings, "policy": {"path": str(tmp_path / "policy")}}) as service:
        await wait_until(
            lambda: '"engine.ready"' in service.log(), description="the model is loaded", timeout_s=STARTUP_TIMEOUT_S
        )
        engine = the_engine_of(service)
        os.kill(engine, signal.SIGSTOP)
        assert service.wait() == ExitCode.FATAL
    assert '"reason":"engine.dead"' in last_line(service)
    assert "engine.stall_s" in last_line(service)
    assert engine not in {process.pid for process in descendants(1)}
    await finish(stream, tmp_path)


def last_line(service: ServiceProcess) -> str:
    """Return the line that `service.fatal` is in."""
    return next(line for line in reversed(service.log().splitlines()) if '"service.fatal"' in line)


def the_engine_of(service: ServiceProcess) -> int:
    below = descendants(service.pid)
    (engine,) = (each.pid for each in below if "EngineCore" in " ".join(each.cmdline()))
    return engine
