"""Judges images like the service, without Kafka: for a first verdict, and to measure a machine's rate."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.base import now_utc
from schemas.image_uploaded import ImageByUrlV1, ImageInlineV1
from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.client.outcomes import DeadLetter, Outcome, outcome_of
from service.client.upload_events import Upload, UploadOptions, UploadTargetError, event_of, inline
from service.core.errors import RejectedError, TransientError
from service.core.records import OutgoingRecord, SourceRecord
from service.delivery.handler import Handler, Job
from service.events.codec import encode_upload
from service.media.errors import FetchFailedError
from service.settings.delivery import TopicSettings
from service.telemetry.record_trace import RecordTrace

SOURCE = "/modstream/try"


@dataclass(frozen=True, slots=True)
class Tried:
    """The outcomes of one image."""

    image_id: str
    outcomes: Sequence[Outcome]
    """A verdict, tags, or a dead letter: here a transient fault is not tried again."""

    @property
    def verdict(self) -> VerdictV1 | None:
        """The image's verdict; None without one."""
        return next((outcome for outcome in self.outcomes if isinstance(outcome, VerdictV1)), None)

    @property
    def tags(self) -> TagsV1 | None:
        """The image's tags; None without any."""
        return next((outcome for outcome in self.outcomes if isinstance(outcome, TagsV1)), None)

    @property
    def dead_letter(self) -> DeadLetter | None:
        """The reason why the image could not be judged; None if it was."""
        return next((outcome for outcome in self.outcomes if isinstance(outcome, DeadLetter)), None)


@dataclass(frozen=True, slots=True)
class OfflineRun:
    """The outcomes of all images, in their order, and the time that they took."""

    images: Sequence[Tried]
    seconds: float
    """From the first image to the last outcome; loading the model came before."""

    @property
    def images_per_s(self) -> float:
        """Images judged a second, including the start and the end of the run."""
        return len(self.images) / self.seconds

    @property
    def is_complete(self) -> bool:
        """Whether every image was judged."""
        return all(each.dead_letter is None for each in self.images)


async def judge_all(
    handler: Handler, uploads: Iterable[Upload], options: UploadOptions, topics: TopicSettings, *, in_flight: int
) -> OfflineRun:
    """Judge images, a number of them at a time; raises `FatalError`."""
    places = asyncio.Semaphore(in_flight)

    async def judge(number: int, upload: Upload) -> Tried:
        async with places:
            return await judge_one(handler, number, upload, options, topics)

    started_s = time.perf_counter()
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(judge(number, upload), name=f"try {upload.image_id}")
                for number, upload in enumerate(uploads)
            ]
    except ExceptionGroup as failures:
        # An error that ends the run ends it for every image, and the first names the cause.
        raise failures.exceptions[0] from None
    return OfflineRun([task.result() for task in tasks], time.perf_counter() - started_s)


async def judge_one(
    handler: Handler, number: int, upload: Upload, options: UploadOptions, topics: TopicSettings
) -> Tried:
    """Judge one image, whose event gets the number as its offset; raises `FatalError`."""
    try:
        record = await asyncio.to_thread(_record, number, upload, options, topics)
        answers = await handler(Job(record, 1, time.perf_counter(), _Unlimited(), RecordTrace.untraced()))
    except (RejectedError, TransientError) as error:
        return Tried(upload.image_id, [DeadLetter(upload.image_id, error.reason, str(error), attempt=1)])
    outcomes = [outcome_of(_received(answer), topics) for answer in answers]
    return Tried(upload.image_id, [outcome for outcome in outcomes if outcome is not None])


def _record(number: int, upload: Upload, options: UploadOptions, topics: TopicSettings) -> SourceRecord:
    """Return what would come from Kafka; a file travels inside its event."""
    image = _inline(upload.location) if isinstance(upload.location, Path) else ImageByUrlV1(url=upload.location)
    event = event_of(upload.image_id, image, options)
    sent = encode_upload(event, topic=topics.uploads, event_id=str(number), source=SOURCE, time=now_utc())
    return _received(sent, offset=number)


def _inline(path: Path) -> ImageInlineV1:
    try:
        return inline(path)
    except (OSError, UploadTargetError) as error:
        detail = f"{getattr(error, 'strerror', None) or error}"
    raise FetchFailedError(detail=f"the file cannot be read: {detail}")


def _received(sent: OutgoingRecord, offset: int = 0) -> SourceRecord:
    return SourceRecord(sent.topic, 0, offset, 0, sent.key, sent.value, sent.headers)


class _Unlimited:
    """Resources without a limit: the semaphore bounds how many images are in work."""

    async def acquire_slot(self) -> None:
        """Return at once."""

    def release_slot(self) -> None:
        """Do nothing."""
