"""Pure: failure → dead letter, the original record with its reasons, for people, re-drives and existing tools."""

import traceback
from dataclasses import replace
from datetime import datetime

from service.errors import ModstreamError
from service.stream.dead_letter_headers import (
    CAUSE_CLASS,
    ERROR_CLASS,
    FAILED_AT,
    LAST_OFFSET,
    MESSAGE,
    RAW,
    RAW_OFFSETS,
    REASON,
    STACK,
    TRUNCATED,
)
from service.stream.origin import ATTEMPT, COORDINATES, REDRIVE_MARKS, Origin, added_by_us, to_carry_on
from service.stream.publishing import record_bytes
from service.stream.records import MAX_HEADERS, Headers, OutgoingRecord, SourceRecord
from service.telemetry.plain_text import one_line

# Connect's stages: a sink's converter could not read the value, or its task could not deal with it.
_VALUE_STAGE, _TASK_STAGE = b"VALUE_CONVERTER", b"TASK_PUT"

_MAX_MESSAGE_CHARS = 1000
_ESSENTIAL = frozenset(
    {REASON, MESSAGE, ATTEMPT, FAILED_AT, RAW, RAW_OFFSETS, LAST_OFFSET, *COORDINATES, *REDRIVE_MARKS}
)

_SHORT_BYTES = 256
"""Of an essential header where there is hardly room: no topic's name is longer, and a message says enough."""

_LENGTHS_BYTES = 8
"""What the lengths of a key and a value take at most beyond those of none."""

_LEAST_VALUE_BYTES = 1000
"""So much of the value is worth more than the stack."""

_MAX_STACK_CHARS = 8000
"""The innermost frames; more would crowd out the value that a re-drive needs."""


def dead_letter(
    record: SourceRecord,
    origin: Origin,
    error: ModstreamError,
    *,
    attempt: int,
    topic: str,
    group_id: str,
    failed_at: datetime,
    trace_headers: Headers = (),
) -> OutgoingRecord:
    """Return the dead letter for a record that failed at an attempt, of any size.

    `trace_headers` lead to the trace of that attempt.
    """
    carried = to_carry_on(record.headers)
    if len(carried) > MAX_HEADERS:  # the rest was not kept when the record was received
        carried = ((TRUNCATED, b"headers"),)
    headers = (
        *carried,
        *_reasons(error, attempt, failed_at),
        *origin.headers(),
        *_unread(record),
        *_spring(origin, error, group_id),
        *_connect(origin, error),
        *trace_headers,
    )
    return OutgoingRecord(topic, record.key, record.value, headers)


def cut(letter: OutgoingRecord, *, max_bytes: int) -> OutgoingRecord:
    """Return a dead letter of at most `max_bytes`, or the smallest there is; `TRUNCATED` names what is missing.

    The uploader's headers go first, then what only helps to look into the failure (the stack, other tools' headers),
    where value and key would find no room beside it. The reason and the origin stay whole.
    """
    if record_bytes(letter) <= max_bytes:
        return letter
    ours = tuple(header for header in added_by_us(letter.headers) if header[0] != TRUNCATED)
    whole = replace(letter, headers=(*ours, (TRUNCATED, b"headers")))
    if record_bytes(whole) <= max_bytes and not is_value_cut(letter):
        return whole
    for headers, missing in ((ours, b"headers,value,key"), (essential(ours), b"headers,stack,value,key")):
        bare = OutgoingRecord(letter.topic, None, None, (*headers, (TRUNCATED, missing)))
        room = max_bytes - record_bytes(bare) - _LENGTHS_BYTES
        if room >= _LEAST_VALUE_BYTES:
            break
    key = letter.key if letter.key is not None and len(letter.key) < room else None
    room -= len(key or b"")
    # The value is cut rather than left out: its start tells people what it was.
    return replace(bare, key=key, value=(letter.value or b"")[: max(room, 0)])


def is_value_cut(letter: OutgoingRecord) -> bool:
    """Tell whether more than headers is missing from a dead letter."""
    return any(name == TRUNCATED and value != b"headers" for name, value in letter.headers)


def essential(headers: Headers) -> Headers:
    """Return the reason, the origin and the marks of a re-drive, each once and short: uploaders may write the marks."""
    found = {name: value[:_SHORT_BYTES] for name, value in headers if name in _ESSENTIAL and value is not None}
    return tuple(found.items())


def _reasons(error: ModstreamError, attempt: int, failed_at: datetime) -> Headers:
    return (
        (REASON, error.reason.encode()),
        (MESSAGE, _message(error)),
        (ATTEMPT, b"%d" % attempt),
        (FAILED_AT, failed_at.isoformat(timespec="milliseconds").encode()),
    )


def _unread(record: SourceRecord) -> Headers:
    """What is to be known of a record that the Kafka client could not read."""
    unreadable = record.unreadable
    if unreadable is None:
        return ()
    told = {RAW: unreadable.raw, RAW_OFFSETS: unreadable.raw_offsets}
    if unreadable.last_offset != record.offset:
        told[LAST_OFFSET] = str(unreadable.last_offset)
    return tuple((name, text.encode()) for name, text in told.items() if text)


def _spring(origin: Origin, error: ModstreamError, group_id: str) -> Headers:
    """What Spring for Apache Kafka writes, numbers as big-endian binary."""
    cause = error.__cause__
    return (
        ("kafka_dlt-original-topic", origin.topic.encode()),
        ("kafka_dlt-original-partition", origin.partition.to_bytes(4, "big")),
        ("kafka_dlt-original-offset", origin.offset.to_bytes(8, "big")),
        ("kafka_dlt-original-timestamp", origin.timestamp_ms.to_bytes(8, "big", signed=True)),
        ("kafka_dlt-original-timestamp-type", origin.timestamp_type.encode()),
        ("kafka_dlt-original-consumer-group", group_id.encode()),
        (ERROR_CLASS, _class_name(error)),
        *(((CAUSE_CLASS, _class_name(cause)),) if cause else ()),
        ("kafka_dlt-exception-message", _message(error)),
        (STACK, _stack(error)),
    )


def _connect(origin: Origin, error: ModstreamError) -> Headers:
    """What Kafka Connect writes, numbers as decimal digits."""
    return (
        ("__connect.errors.topic", origin.topic.encode()),
        ("__connect.errors.partition", b"%d" % origin.partition),
        ("__connect.errors.offset", b"%d" % origin.offset),
        ("__connect.errors.stage", _VALUE_STAGE if error.reason.startswith("event.") else _TASK_STAGE),
        ("__connect.errors.class.name", _executing_class(error)),
        ("__connect.errors.exception.class.name", _class_name(error)),
        ("__connect.errors.exception.message", _message(error)),
    )


def _executing_class(error: ModstreamError) -> bytes:
    """Name the class that raised the error, or the module of a function; that of an error never raised is its own."""
    frames = [frame for frame, _ in traceback.walk_tb((error.__cause__ or error).__traceback__)]
    if not frames:
        return type(error).__module__.encode()
    owner, _, _ = frames[-1].f_code.co_qualname.partition(".<locals>")[0].rpartition(".")
    module = str(frames[-1].f_globals.get("__name__", ""))
    return (f"{module}.{owner}" if owner else module).encode(errors="replace")


def _class_name(error: BaseException) -> bytes:
    """Name what went wrong first: behind an unexpected error that is its cause."""
    cause = error.__cause__ or error
    return f"{type(cause).__module__}.{type(cause).__qualname__}".encode()


def _message(error: ModstreamError) -> bytes:
    """Return the words on one line: a name of a policy or host in them may be a stranger's."""
    return one_line(str(error), at_most=_MAX_MESSAGE_CHARS).encode()


def _stack(error: ModstreamError) -> bytes:
    """Return the frames alone: messages of foreign exceptions may hold signed URLs."""
    cause = error.__cause__ or error
    return "".join(traceback.format_tb(cause.__traceback__))[-_MAX_STACK_CHARS:].encode(errors="replace")
