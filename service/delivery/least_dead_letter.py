"""Pure: the dead letter of a record whose full dead letter, retry record or trace cannot be built.

Each part that can fail is left out by itself, so that no defect met by one record stops the partition.
"""

from contextlib import suppress
from datetime import datetime

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

_MESSAGE = b"A defect of the service kept it from saying more; the service's log has record.dead_letter_reduced."

_REASON_BYTES = 249
_HEADERS_BYTES = 1536
"""More than the headers of this dead letter take: the name of a topic has 249 bytes at most, too."""


def least_dead_letter(
    record: SourceRecord, reason: str, *, topic: str, uploads: str, attempt: int, failed_at: datetime, max_bytes: int
) -> OutgoingRecord:
    """Return the dead letter with the reason, the origin, the key, and as much of the value as `max_bytes` allow."""
    key, value = record.key, record.value or b""
    room = max(max_bytes - _HEADERS_BYTES, 0)
    is_whole = len(key or b"") + len(value) <= room
    headers = (
        (REASON, reason.encode(errors="replace")[:_REASON_BYTES]),
        (MESSAGE, _MESSAGE),
        (FAILED_AT, failed_at.isoformat(timespec="milliseconds").encode()),
        *_origin(record, uploads),
        (ATTEMPT, b"%d" % attempt),
        *_last_offset(record),
        (TRUNCATED, b"headers" if is_whole else b"headers,value,key"),
    )
    if is_whole:
        return OutgoingRecord(topic, key, record.value, headers)
    return OutgoingRecord(topic, None, value[:room], headers)


def _last_offset(record: SourceRecord) -> Headers:
    return () if record.last_offset == record.offset else ((LAST_OFFSET, b"%d" % record.last_offset),)


def _origin(record: SourceRecord, uploads: str) -> Headers:
    """Return the origin in the headers of a retry topic's record, or the record's own place where they hold none."""
    with suppress(Exception):
        return origin_of(record, uploads=uploads).headers()
    numbers = {PARTITION: record.partition, OFFSET: record.offset, TIMESTAMP: record.timestamp_ms}
    return ((TOPIC, record.topic.encode()), *((name, b"%d" % number) for name, number in numbers.items()))
