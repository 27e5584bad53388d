"""Publishes upload events batch by batch, as an upload service would."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from uuid import uuid4

from schemas.base import now_utc
from schemas.image_uploaded import ImageByUrlV1, ImageReferenceV1
from service.client.upload_events import Upload, UploadOptions, UploadTargetError, by_reference, event_of, inline
from service.core.records import OutgoingRecord
from service.events.codec import encode_upload
from service.kafka.connection import KafkaConnection
from service.kafka.publisher import open_publisher
from service.kafka.topics import check_topics
from service.settings.kafka import KafkaSettings
from service.settings.settings import Settings
from service.telemetry.plain_text import one_line

# The CloudEvents source of what is sent by hand.
SOURCE = "/modstream/send"
# Of an event beside its image: caption, context, headers.
EVENT_OVERHEAD_BYTES = 32 * 1024
# Published together, then awaited: bounds what is held in memory.
BATCH_EVENTS = 200
BATCH_BYTES = 4 * 1024 * 1024


def inline_limit_bytes(settings: KafkaSettings) -> int:
    """Return the largest file, in bytes, that fits into an event that brokers accept and the service reads."""
    room = min(settings.max_request_bytes, settings.max_event_bytes) - EVENT_OVERHEAD_BYTES
    return max(room, 0) * 3 // 4  # base64 makes four characters of three bytes


class UploadSender:
    """Sends uploads; one that cannot be sent is reported and left out."""

    def __init__(
        self, settings: Settings, options: UploadOptions, *, references: bool, complain: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._options = options
        self._references = references
        self._complain = complain
        self._inline_limit_bytes = inline_limit_bytes(settings.kafka)

    async def send(self, uploads: Iterable[Upload]) -> int:
        """Publish the events and return their number; raises the errors of the publisher."""
        topic = self._settings.topics.uploads
        # Publishing to a topic that is missing would hang.
        await check_topics(KafkaConnection(self._settings.kafka), {"topics.uploads": topic})
        sent = 0
        async with open_publisher(self._settings.kafka) as publisher:
            for batch in self._batches(uploads):
                await publisher.publish(batch)
                sent += len(batch)
        return sent

    def _batches(self, uploads: Iterable[Upload]) -> Iterator[list[OutgoingRecord]]:
        batch: list[OutgoingRecord] = []
        size_bytes = 0
        for record in filter(None, map(self._record, uploads)):
            batch.append(record)
            size_bytes += len(record.value or b"")
            if len(batch) >= BATCH_EVENTS or size_bytes >= BATCH_BYTES:
                yield batch
                batch, size_bytes = [], 0
        if batch:
            yield batch

    def _record(self, upload: Upload) -> OutgoingRecord | None:
        try:
            event = event_of(upload.image_id, self._image(upload.location), self._options)
        except (OSError, UploadTargetError) as error:
            self._complain(f"{one_line(upload.image_id)} is not sent: {getattr(error, 'strerror', None) or error}")
            return None
        topic = self._settings.topics.uploads
        return encode_upload(event, topic=topic, event_id=str(uuid4()), source=SOURCE, time=now_utc())

    def _image(self, location: Path | str) -> ImageReferenceV1:
        """Return a URL as it is; a file by its URL if that is wanted, else inside the event if it fits."""
        if isinstance(location, str):
            return ImageByUrlV1(url=location)
        if self._references:
            return by_reference(location)
        size_bytes = location.stat().st_size
        if size_bytes > self._inline_limit_bytes:
            raise UploadTargetError(
                f"it has {size_bytes} bytes, and an event holds {self._inline_limit_bytes} (kafka.max_request_bytes,"
                " kafka.max_event_bytes); send it --by-reference"
            )
        return inline(location)
