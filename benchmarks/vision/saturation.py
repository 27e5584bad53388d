"""How much of vLLM's capacity the service keeps busy: Kafka to Kafka, against the same images given straight to it.

Both use one and the same `AsyncLLM`, in turn. The service shares the cores with the engine and the broker: it reads
events, decodes their JPEGs, asks, decides and commits exactly once; given straight, the images lie decoded in memory.
"""

import asyncio
import base64
import io
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import orjson
from PIL import Image

from benchmarks.contest import Contest, numbered_from, running_contest
from benchmarks.peers.measured import Meter, Task
from benchmarks.peers.modstream_service import moderate
from benchmarks.runner import Comparison, Contender, TimedRun
from benchmarks.vision.model import SIDE, RunningModel, running_model
from service.core.pixels import RgbPixels
from service.inference.vision.engine import VisionEngine
from service.inference.vision.prompt import prompter
from service.inference.vision.token_model import GeneratedText, ModelFacts, ModelRequest
from service.policy.loader import load_policies
from service.settings.delivery import TopicSettings, WindowSettings
from service.settings.engine import JudgingSettings
from service.settings.kafka import KafkaSettings
from service.settings.monitoring import MonitoringSettings, TelemetrySettings
from service.settings.settings import PolicySettings, Settings
from service.telemetry.logs import configure_logging
from testing.shapes_policy import write_shapes_policy
from testing.tiny_model.scenes import draw, random_scene

EVENTS = 256
SCENES = 32
ROUNDS = 5
TARGET_RATIO = 0.9
JPEG_QUALITY = 90


class _Started:
    """A `TokenModel` that others started and will stop."""

    def __init__(self, running: RunningModel) -> None:
        self._running = running

    def is_reachable(self) -> bool:
        return True

    async def start(self) -> ModelFacts:
        return self._running.facts

    async def prepare(
        self, adapter: str | None, words: Sequence[str], largest: ModelRequest | None = None
    ) -> Mapping[str, int]:
        return await self._running.model.prepare(adapter, words)

    async def read(self, ask: ModelRequest, words: Mapping[str, int]) -> Mapping[str, float]:
        return await self._running.model.read(ask, words)

    async def write(self, ask: ModelRequest, json_schema: Mapping[str, Any], *, max_tokens: int) -> GeneratedText:
        return await self._running.model.write(ask, json_schema, max_tokens=max_tokens)

    async def stop(self) -> None:
        pass


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare the service with its engine alone."""
    first_numbers = count(0, EVENTS)
    with running_contest() as contest, running_model() as running, TemporaryDirectory() as folder:
        policy = PolicySettings(path=write_shapes_policy(Path(folder)), default="shapes")
        yield (
            Comparison(
                f"JPEGs of {SIDE} × {SIDE} pixels, one token each, on the cores that the engine runs on",
                (
                    Contender("the engine alone, kept full", lambda: _straight(running, policy)),
                    Contender(
                        "modstream, exactly once",
                        lambda: _service(contest, running, policy, first=next(first_numbers)),
                    ),
                ),
                target_ratio=TARGET_RATIO,
                rounds=ROUNDS,
            ),
        )


def upload(number: int) -> bytes:
    """Return an upload event with its image inside."""
    image = {"inline": base64.b64encode(_file(number)).decode(), "media_type": "image/jpeg"}
    return orjson.dumps({"image_id": str(number), "image": image})


def _straight(running: RunningModel, policy: PolicySettings) -> TimedRun:
    return running.runner.run(_keep_full(running, policy))


async def _keep_full(running: RunningModel, policy: PolicySettings) -> TimedRun:
    """Ask about all images; as many are in flight as the service's window holds."""
    asker = prompter(load_policies(policy).default.instructions)
    words = await running.model.prepare(None, list(asker.labels))
    asks = [running.ask(asker.which(None), _pixels(number % SCENES)) for number in range(EVENTS)]
    in_flight = asyncio.Semaphore(WindowSettings().max_records)

    async def one(ask: ModelRequest) -> None:
        async with in_flight:
            await running.model.read(ask, words)

    start = time.perf_counter()
    await asyncio.gather(*(one(ask) for ask in asks))
    return TimedRun(EVENTS, time.perf_counter() - start)


def _service(contest: Contest, running: RunningModel, policy: PolicySettings, *, first: int) -> TimedRun:
    seconds = 0.0

    def work(task: Task) -> None:
        nonlocal seconds
        seconds = running.runner.run(_serve(task, running, policy))

    asked = _requests()
    contest.run_here(work, records=EVENTS, value=numbered_from(first, upload))
    if (asked := _requests() - asked) != EVENTS:
        raise RuntimeError(f"the service asked {asked} times about {EVENTS} harmless images")
    return TimedRun(EVENTS, seconds)


async def _serve(task: Task, running: RunningModel, policy: PolicySettings) -> float:
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=task.address, group_id=task.group_id),
        topics=TopicSettings(uploads=task.source, verdicts=task.target),
        policy=policy,
        telemetry=TelemetrySettings(log_level="warning"),
        monitoring=MonitoringSettings(port=0),
    )
    configure_logging(settings.telemetry)
    engine = VisionEngine(_Started(running), JudgingSettings(), kind="vllm")
    await engine.start()
    meter = Meter(task, prints=False)
    await moderate(task, settings, engine, meter)
    await engine.stop()
    return meter.seconds


def _requests() -> int:
    from vllm.v1.metrics.reader import get_metrics_snapshot  # noqa: PLC0415 - where vLLM is missing it is not imported

    return sum(metric.value for metric in get_metrics_snapshot() if metric.name == "vllm:request_success")


@cache
def _pixels(number: int) -> RgbPixels:
    # Nothing but a background: the tiny model was not trained on shapes of this size, and would ask about some again.
    scene = random_scene(np.random.default_rng(number), harmful=0, size=(SIDE, SIDE))
    return draw(replace(scene, items=()))


def _file(number: int) -> bytes:
    """Return a JPEG like no other: what follows its end changes its hash, and so its name in all caches."""
    return _encoded(number % SCENES) + b"%08d" % number


@cache
def _encoded(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(_pixels(number)).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()
