"""Reads an upload event once: when its record is received, or else when it is handled."""

import asyncio
import time
from collections.abc import Callable, Collection

from schemas.image_uploaded import ImageInlineV1, ImageUploadedV1
from service.core.errors import RejectedError
from service.core.records import SourceRecord
from service.delivery.handler import READING_TURN_S, UNREAD, Job, Reading
from service.events.codec import UploadEvent, decode_upload
from service.media.fetch.hosts import host_of_url, is_own_store
from service.settings.kafka import DEFAULT_MAX_EVENT_BYTES


def read_upload(
    record: SourceRecord, *, max_bytes: int = DEFAULT_MAX_EVENT_BYTES, own_hosts: Collection[str] = ()
) -> Reading:
    """Return the content of an upload. If it cannot be read, the handler raises the error when it reads it again."""
    try:
        return _reading(decode_upload(record, max_bytes=max_bytes), own_hosts)
    except RejectedError:
        return UNREAD


def _reading(upload: UploadEvent, own_hosts: Collection[str] = ()) -> Reading:
    reading = reading_of_event(upload.event, own_hosts)
    if upload.envelope is not None:
        reading = reading._replace(event_id=upload.envelope.id, event_source=upload.envelope.source)
    return reading


def reading_of_event(event: ImageUploadedV1, own_hosts: Collection[str] = ()) -> Reading:
    """Return what an event says about its image; `own_hosts` are the operator's."""
    reading = Reading(event.tenant, event=event)
    if isinstance(event.image, ImageInlineV1):
        # The text, and the file that is decoded from it.
        held_bytes = len(event.image.inline) + len(event.image.inline) * 3 // 4
        return reading._replace(held_bytes=held_bytes)
    host = host_of_url(event.image.url)
    in_store = is_own_store(host)
    chosen_host = "" if in_store or host.partition(":")[0] in own_hosts else host
    return reading._replace(is_fetched=True, host=chosen_host, is_in_own_store=in_store)


class EventReader:
    """Reads events that were not read when they were received."""

    def __init__(
        self, max_event_bytes: int = DEFAULT_MAX_EVENT_BYTES, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._max_event_bytes = max_event_bytes
        self._clock = clock
        self._turn = asyncio.Lock()
        self._reading_s = 0.0

    async def read(self, job: Job) -> Reading:
        """Return the reading of a job's record with its event; raises `RejectedError` for an event that is invalid."""
        return job.reading if job.reading.event is not None else _reading(await self._read_in_turn(job.record))

    async def _read_in_turn(self, record: SourceRecord) -> UploadEvent:
        """Read an event; the worst take milliseconds each, so the event loop runs whenever some have taken a few."""
        async with self._turn:
            begin_s = self._clock()
            try:
                return decode_upload(record, max_bytes=self._max_event_bytes)
            finally:
                self._reading_s += self._clock() - begin_s
                if self._reading_s > READING_TURN_S:
                    self._reading_s = 0.0
                    await asyncio.sleep(0)
