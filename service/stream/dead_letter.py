"""Pure: failure → dead letter, the original record with its reasons, for people, re-drives and existing tools."""

import traceback
from datetime import datetime

from service.errors import ModstreamError
from service.stream.origin import ATTEMPT, Origin, to_carry_on
from service.stream.publishing import record_bytes
from service.stream.records import Headers, OutgoingRecord, SourceRecord

REASON = "modstream-reason"
MESSAGE = "modstream-message"
FAILED_AT = "modstream-failed-at"
TRUNCATED = "modstream-truncated"
"""Which parts had to be left out or cut so that the record fits, such as `value`; absent when nothing was."""

ERROR_CLASS = "kafka_dlt-exception-fqcn"
STACK = "kafka_dlt-exception-stacktrace"

_MAX_MESSAGE_CHARS = 1000
_MAX_STACK_CHARS = 8000
"""The innermost frames; more would crowd out the value that a re-drive needs."""


def dead_letter(
    record: SourceRecord,
    origin: Origin,
    error: ModstreamError,
    *,
    attempt: int,
    topic: str,
    failed_at: datetime,
    max_bytes: int,
    trace_headers: Headers = (),
) -> OutgoingRecord:
    """Return the dead letter for a record that failed at an attempt; always smaller than `max_bytes`.

    `trace_headers` lead to the trace of that attempt.
    """
    headers = (
        *to_carry_on(record.headers),
        *_reasons(error, attempt, failed_at),
        *origin.headers(),
        *_spring(origin, error),
        *_connect(origin, error),
        *trace_headers,
    )
    letter = OutgoingRecord(topic, record.key, record.value, headers)
    return letter if record_bytes(letter) <= max_bytes else _cut(letter, record, max_bytes)


def _reasons(error: ModstreamError, attempt: int, failed_at: datetime) -> Headers:
    return (
        (REASON, error.reason.encode()),
        (MESSAGE, _message(error)),
        (ATTEMPT, b"%d" % attempt),
        (FAILED_AT, failed_at.isoformat(timespec="milliseconds").encode()),
    )


def _spring(origin: Origin, error: ModstreamError) -> Headers:
    """What Spring for Apache Kafka writes, numbers as big-endian binary."""
    return (
        ("kafka_dlt-original-topic", origin.topic.encode()),
        ("kafka_dlt-original-partition", origin.partition.to_bytes(4, "big")),
        ("kafka_dlt-original-offset", origin.offset.to_bytes(8, "big")),
        ("kafka_dlt-original-timestamp", origin.timestamp_ms.to_bytes(8, "big", signed=True)),
        (ERROR_CLASS, _class_name(error)),
        ("kafka_dlt-exception-message", _message(error)),
        (STACK, _stack(error)),
    )


def _connect(origin: Origin, error: ModstreamError) -> Headers:
    """What Kafka Connect writes, numbers as decimal digits."""
    return (
        ("__connect.errors.topic", origin.topic.encode()),
        ("__connect.errors.partition", b"%d" % origin.partition),
        ("__connect.errors.offset", b"%d" % origin.offset),
        ("__connect.errors.exception.class.name", _class_name(error)),
        ("__connect.errors.exception.message", _message(error)),
    )


def _class_name(error: ModstreamError) -> bytes:
    """Name what went wrong first: behind an unexpected error that is its cause."""
    cause = error.__cause__ or error
    return f"{type(cause).__module__}.{type(cause).__qualname__}".encode()


def _message(error: ModstreamError) -> bytes:
    return str(error)[:_MAX_MESSAGE_CHARS].encode(errors="replace")


def _stack(error: ModstreamError) -> bytes:
    """Return the frames alone: messages of foreign exceptions may hold signed URLs."""
    cause = error.__cause__ or error
    return "".join(traceback.format_tb(cause.__traceback__))[-_MAX_STACK_CHARS:].encode(errors="replace")


def _cut(letter: OutgoingRecord, record: SourceRecord, max_bytes: int) -> OutgoingRecord:
    """Leave out the uploader's headers, then cut value and key: the reasons and the origin stay whole."""
    ours = tuple(header for header in letter.headers if header not in record.headers)
    cut = OutgoingRecord(letter.topic, letter.key, letter.value, (*ours, (TRUNCATED, b"headers")))
    if record_bytes(cut) <= max_bytes:
        return cut
    cut = OutgoingRecord(letter.topic, None, None, (*ours, (TRUNCATED, b"headers,value,key")))
    room = max_bytes - record_bytes(cut)
    key = record.key if record.key is not None and len(record.key) < room else None
    room -= len(key or b"")
    # The value is cut rather than left out: its start tells people what it was.
    return OutgoingRecord(letter.topic, key, (record.value or b"")[: max(room, 0)], cut.headers)
