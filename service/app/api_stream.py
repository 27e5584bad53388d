"""What the API has beside a stream: images are published to it, and its outcomes are followed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

from schemas.base import now_utc
from schemas.image_uploaded import ImageUploadedV1
from service.api.judging.outcome_records import keep_records
from service.api.judging.respond_async import Uploads
from service.api.judging.stored_outcomes import StoredOutcomes
from service.core.records import OutgoingRecord
from service.core.spans import current_span
from service.events.codec import encode_upload
from service.events.codec_errors import EventTooLargeError
from service.kafka.connection import KafkaConnection
from service.kafka.follower import Follower
from service.kafka.publisher import record_bytes
from service.kafka.steady_publisher import SteadyPublisher
from service.settings.settings import Settings
from service.telemetry.record_trace import RecordTrace, StageTimer

SOURCE = "/modstream/api"
"""The CloudEvents source of what the API publishes."""


class StreamUploads:
    """Publishes the images of requests as upload events; the `Uploads` of the API."""

    def __init__(self, publisher: SteadyPublisher, settings: Settings) -> None:
        self._publisher = publisher
        self._topic = settings.topics.uploads
        self._max_event_bytes = settings.kafka.max_event_bytes
        self._max_request_bytes = settings.kafka.max_request_bytes

    async def publish(self, event: ImageUploadedV1) -> None:
        """Return once the brokers have the event; its headers carry the trace of the request.

        Raises `EventTooLargeError`, `PublishError`, `AccessDeniedError` or `KafkaUnreachableError`.
        """
        sending = RecordTrace(current_span(), StageTimer()).sending(self._topic)
        with sending.span:
            record = encode_upload(
                event,
                topic=self._topic,
                event_id=str(uuid4()),
                source=SOURCE,
                time=now_utc(),
                trace_headers=sending.headers,
            )
            self._check_size(record)
            await self._publisher.publish(record)

    def _check_size(self, record: OutgoingRecord) -> None:
        size_bytes = len(record.value or b"")
        room_bytes = self._max_request_bytes - (record_bytes(record) - size_bytes)
        if size_bytes > (limit_bytes := min(self._max_event_bytes, room_bytes)):
            raise EventTooLargeError(size_bytes=size_bytes, limit_bytes=limit_bytes)


@asynccontextmanager
async def beside_stream(settings: Settings, stored: StoredOutcomes) -> AsyncIterator[Uploads]:
    """Follow the outcomes of the stream during the block, and yield what publishes to it."""
    publisher = SteadyPublisher(
        KafkaConnection(settings.kafka),
        is_idempotent=settings.delivery == "exactly_once",
        timeout_s=min(settings.kafka.request_timeout_s, settings.api.timeout_s),
    )
    # One for each topic: a grant that is missing for one must not keep the others from being followed.
    followers = [
        Follower(
            settings.kafka,
            topic,
            setting=setting,
            backlog=settings.api.stored_verdicts,
            on_records=partial(keep_records, stored, topics=settings.topics),
        )
        for setting, topic in settings.topics.outcomes().items()
        if stored.is_on
    ]
    following = [asyncio.create_task(follower.run(), name="follower") for follower in followers]
    try:
        yield StreamUploads(publisher, settings)
    finally:
        for task in following:
            task.cancel()
        if following:
            await asyncio.wait(following)
        await publisher.close()
