"""Pure: the dead letter of a record whose full dead letter, retry record or trace cannot be built.

Each part that can fail is left out by itself, so that no defect met by one record stops the partition.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TypeVar

from service.core.headers import (
    ATTEMPT,
    FAILED_AT,
    LAST_OFFSET,
    MESSAGE,
    OFFSET,
    PARTITION,
    REASON,
    TIMESTAMP,
    TOPIC,
    TRUNCATED,
)
from service.core.records import Headers, OutgoingRecord, SourceRecord
from service.delivery.origin import origin_of

T = TypeVar("T")

_MESSAGE = b"A defect of the service kept it from saying more; the service's log has record.dead_letter_reduced."

_HEADERS_BYTES = 1536
"""More than the headers of this dead letter take: its topic's name and its reason have at most 249 bytes."""


def least_dead_letter(
    record: SourceRecord, reason: str, *, topic: str, uploads: str, attempt: int, failed_at: datetime, max_bytes: int
) -> OutgoingRecord:
    """Return the dead letter with the reason, the origin, the key, and as much of the value as `max_bytes` allow."""
    value, room = record.value or b"", max(max_bytes - _HEADERS_BYTES - len(record.key or b""), 0)
    is_whole = len(value) <= room
    headers = (
        (REASON, reason.encode(errors="replace")[:249]),
        (MESSAGE, _MESSAGE),
        (FAILED_AT, failed_at.isoformat(timespec="milliseconds").encode()),
        *_built(lambda: origin_of(record, uploads=uploads).headers(), or_else=_place(record)),
        (ATTEMPT, b"%d" % attempt),
        *((LAST_OFFSET, b"%d" % record.last_offset) for _ in range(record.last_offset != record.offset)),
        (TRUNCATED, b"headers" if is_whole else b"headers,value,key"),
    )
    if is_whole:
        return OutgoingRecord(topic, record.key, record.value, headers)
    return OutgoingRecord(topic, None, value[: max(max_bytes - _HEADERS_BYTES, 0)], headers)


def _built(build: Callable[[], T], *, or_else: T) -> T:
    with suppress(Exception):
        return build()
    return or_else


def _place(record: SourceRecord) -> Headers:
    """Return where the record was read, for one whose headers cannot be read."""
    numbers = {PARTITION: record.partition, OFFSET: record.offset, TIMESTAMP: record.timestamp_ms}
    return ((TOPIC, record.topic.encode()), *((name, b"%d" % number) for name, number in numbers.items()))
