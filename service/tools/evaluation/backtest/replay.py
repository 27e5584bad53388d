"""Publishes the upload events of images again, so that the service judges them with its present policy and model.

A verdict names the record that it answers. As long as the brokers hold that record, its event is published again as it
was: key, value and the uploader's headers. It is a new upload, with an outcome of its own.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime

from duckdb import DuckDBPyRelation

from service.core.errors import RejectedError
from service.core.headers import without_ours
from service.core.records import OutgoingRecord, SourceRecord
from service.events.codec import decode_upload
from service.kafka.publisher import open_publisher
from service.policy.policy import Policy
from service.settings.settings import Settings
from service.tools.evaluation.backtest.decided_verdicts import needed_categories
from service.tools.evaluation.backtest.unanswered import needs_judging, open_questions
from service.tools.evaluation.images.image_references import ImageSought
from service.tools.evaluation.images.upload_events import Place, upload_records
from service.tools.evaluation.stored.stored_verdicts import VerdictSource, opened_verdicts

AT_ONCE = 100
"""Events that are held in memory; one with its image inside has up to 2 MiB."""
EXAMPLES = 20
"""Images that cannot be replayed and are named; all are counted."""


@dataclass(frozen=True, slots=True)
class Gone:
    """An image whose event cannot be published again."""

    image_id: str
    tenant: str
    why: str


@dataclass(slots=True)
class ReplayResult:
    """What was done so far."""

    found: int = 0
    """Images whose events the brokers hold."""
    sent: int = 0
    gone: int = 0
    examples: list[Gone] = field(default_factory=list)
    """Some of those that are gone."""


def stored_images(
    source: VerdictSource,
    *,
    since: datetime | None,
    policy: Policy | None,
    limit: int,
    calibration_file: str | None = None,
) -> Sequence[ImageSought]:
    """Return the images of stored verdicts, each once and by its newest verdict, in the order of their records.

    With a policy, those that the model has to judge again before their scores say what the policy would decide;
    `calibration_file` is what new verdicts will name as theirs.
    """
    with opened_verdicts(source, since=since, categories=needed_categories(policy)) as connection:
        verdicts = connection.view("verdicts")
        if policy is not None:
            verdicts = verdicts.filter(needs_judging(open_questions(policy, calibration_file)))
        return _images(verdicts, limit)


def _images(verdicts: DuckDBPyRelation, limit: int) -> Sequence[ImageSought]:
    known = verdicts.filter("source_topic IS NOT NULL AND source_partition IS NOT NULL AND source_offset IS NOT NULL")
    columns = ("source_topic", "source_partition", "source_offset", "sha256")
    newest = ", ".join(f"max_by({column}, moderated_at) AS {column}" for column in columns)
    rows = known.aggregate(f"image_id, tenant, {newest}", "image_id, tenant").order(", ".join(columns)).limit(limit)
    return [
        ImageSought(image_id, tenant, digest or "", Place(topic, partition, offset))
        for image_id, tenant, topic, partition, offset, digest in rows.fetchall()
    ]


async def publish_again(
    settings: Settings,
    images: Sequence[ImageSought],
    result: ReplayResult,
    *,
    execute: bool,
    pace: Callable[[int], Awaitable[None]],
    on_progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Find the events of images, and publish them again if `execute` is set; `result` says how far it came.

    `pace` waits until this many events may be sent. Raises the errors of `upload_records` and of the publisher.
    """
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(open_publisher(settings.kafka)) if execute else None
        for start in range(0, len(images), AT_ONCE):
            events = [*await _events(settings, images[start : start + AT_ONCE], result)]
            if publisher is not None and events:
                await pace(len(events))
                await publisher.publish(events)
                result.sent += len(events)
            on_progress(min(start + AT_ONCE, len(images)))


async def _events(settings: Settings, images: Sequence[ImageSought], result: ReplayResult) -> Iterator[OutgoingRecord]:
    records = await upload_records(settings, {image.place for image in images})
    return (
        OutgoingRecord(record.topic, record.key, record.value, without_ours(record.headers))
        for image in images
        if (record := _checked(settings, image, records.get(image.place), result)) is not None
    )


def _checked(
    settings: Settings, image: ImageSought, record: SourceRecord | None, result: ReplayResult
) -> SourceRecord | None:
    """Return an image's record; None if it is gone, which is counted."""
    why = _why_gone(settings, image, record)
    if why is None:
        result.found += 1
        return record
    result.gone += 1
    if len(result.examples) < EXAMPLES:
        result.examples.append(Gone(image.image_id, image.tenant, why))
    return None


def _why_gone(settings: Settings, image: ImageSought, record: SourceRecord | None) -> str | None:
    if image.place.topic != settings.topics.uploads:
        return f"its record is in {image.place.topic}, and topics.uploads is {settings.topics.uploads}"
    if record is None:
        return "the brokers no longer hold its record, or cannot give it out"
    try:
        event = decode_upload(record, max_bytes=settings.kafka.max_event_bytes).event
    except RejectedError as error:
        return f"its record is no upload event any more ({error.reason})"
    same = (event.tenant, event.image_id) == image.key
    return None if same else "its record holds the event of another image: the topic was created anew"
