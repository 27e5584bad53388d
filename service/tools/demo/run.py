"""The demo's course: broker, topics, service, events in, outcomes out, everything stopped."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import yaml

from schemas.base import now_utc
from service.client.outcomes import key_of, outcome_of
from service.client.upload_events import Unusable
from service.core.records import OutgoingRecord
from service.delivery.required_topics import required_topics
from service.events.codec import encode_upload
from service.kafka.connection import KafkaConnection
from service.kafka.publisher import open_publisher
from service.kafka.reader import Reader, open_reader
from service.kafka.topics import ensure_topics
from service.settings.load import load_settings
from service.settings.settings import Settings
from service.tools.demo.broker import embedded_broker
from service.tools.demo.outcomes import Outcomes
from service.tools.demo.processes import DemoFailedError, service_process
from service.tools.demo.samples import Sample, bundled_samples, folder_samples, noise


def write_settings(config: Path, *, broker: str, file_root: Path) -> Settings:
    """Write the settings file for the service, and return the settings."""
    document = {
        # The embedded broker knows no transactions.
        "delivery": "at_least_once",
        # It also lets a group's first member wait for half of the session: 8 s of 15 s, 2 s of 4 s.
        "kafka": {"bootstrap_servers": broker, "group_id": "modstream-demo", "session_timeout_s": 4.0},
        "media": {"fetch": {"file_root": str(file_root.resolve())}},
        # For reading the log after a failure.
        "telemetry": {"log_format": "console"},
        "shutdown": {"drain_s": 10.0},
        # Two demos may run at once, and beside a service of one's own.
        "monitoring": {"port": 0},
    }
    config.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return load_settings(config, {}).settings


# Nothing came for so long: the rest counts as lost. Longer than a model takes to load on a busy machine.
STALL_TIMEOUT_S = 60.0
# A record that is there comes at once; after so long a silence there is none.
SILENCE_S = 0.3
# Enough to show that they are served side by side.
PARTITIONS = 4
# Events published together.
PUBLISH_BATCH = 500


class DemoProgress(Protocol):
    """Called with the progress of the demo."""

    def step(self, text: str) -> None:
        """Called when a step begins, with its name."""
        ...

    def answered(self, count: int, total: int) -> None:
        """Called with the number of events that have a verdict or dead letter."""
        ...


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The result of a demo."""

    samples: Sequence[Sample]
    unusable: Sequence[Unusable]
    """Files of the folder that were not sent."""
    outcomes: Outcomes
    service_exit_code: int | None
    service_log: Path

    @property
    def succeeded(self) -> bool:
        """Whether every event had exactly one outcome and the service ended in order."""
        return not self.outcomes.lost and not self.outcomes.duplicated and self.service_exit_code == 0


async def run_demo(images: Path | None, folder: Path, progress: DemoProgress) -> DemoResult:
    """Judge the bundled samples, or the images of a folder; what is written goes into `folder`.

    Raises `DemoFailedError` when it cannot begin.
    """
    progress.step("starting the embedded broker")
    samples, unusable, file_root = _samples(images, folder)
    outcomes = Outcomes(sent=frozenset(sample.key for sample in samples))
    async with embedded_broker(folder / "broker.log") as broker:
        config, log = folder / "modstream.yaml", folder / "service.log"
        settings = write_settings(config, broker=broker, file_root=file_root)
        await ensure_topics(KafkaConnection(settings.kafka), required_topics(settings), partitions=PARTITIONS)
        progress.step("starting the service")
        async with open_reader(settings.kafka, settings.topics.outcomes(), start="beginning") as reader:
            async with service_process(config, log) as service:
                await _publish(settings, samples)
                await _while_alive(service, _collect(reader, outcomes, settings, progress))
                progress.step("stopping the service")
            # Only now can nothing more come, so only now is it known that nothing came twice.
            while await _read(reader, outcomes, settings, timeout_s=SILENCE_S):
                pass
    return DemoResult(samples, unusable, outcomes, service.returncode, log)


def _samples(images: Path | None, folder: Path) -> tuple[list[Sample], Sequence[Unusable], Path]:
    """Return the samples, the files that make none, and the folder that the service may read from."""
    if images is None:
        own = folder / "samples"
        own.mkdir()
        return bundled_samples(own), (), own
    samples, unusable = folder_samples(images)
    if not samples:
        reasons = "".join(f"\n  {each}" for each in unusable)
        raise DemoFailedError(f"there is no image in {images} that can be used:{reasons}")
    return samples, unusable, images


async def _publish(settings: Settings, samples: Sequence[Sample]) -> None:
    async with open_publisher(settings.kafka) as publisher:
        for start in range(0, len(samples), PUBLISH_BATCH):
            batch = samples[start : start + PUBLISH_BATCH]
            await publisher.publish([_record(sample, settings.topics.uploads) for sample in batch])


def _record(sample: Sample, topic: str) -> OutgoingRecord:
    if sample.event is None:
        return OutgoingRecord(topic, sample.key.encode(), noise(sample.key), headers=())
    return encode_upload(sample.event, topic=topic, event_id=str(uuid4()), source="/modstream/demo", time=now_utc())


async def _collect(reader: Reader, outcomes: Outcomes, settings: Settings, progress: DemoProgress) -> None:
    """Read outcomes until every event has its own, or none has come for too long."""
    while not outcomes.complete:
        if not await _read(reader, outcomes, settings, timeout_s=STALL_TIMEOUT_S):
            return
        progress.answered(outcomes.answered, len(outcomes.sent))


async def _read(reader: Reader, outcomes: Outcomes, settings: Settings, *, timeout_s: float) -> bool:
    """Add what has come; return whether anything has."""
    records = await reader.read(timeout_s=timeout_s)
    for record in records:
        outcome = outcome_of(record, settings.topics)
        if outcome is not None:
            outcomes.add(key_of(record), outcome)
    return bool(records)


async def _while_alive(service: asyncio.subprocess.Process, work: Coroutine[None, None, None]) -> None:
    """Do the work, but no longer than the service lives."""
    working = asyncio.create_task(work, name="demo.collect")
    dying = asyncio.create_task(service.wait(), name="demo.watch_service")
    try:
        await asyncio.wait({working, dying}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        for task in (working, dying):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
