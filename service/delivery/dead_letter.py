"""Pure: failure → dead letter, the original record with its reasons, for people, re-drives and existing tools."""

import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime

import structlog

from service.core.errors import ModstreamError
from service.core.headers import (
    ATTEMPT,
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
    added_by_us,
    essential,
    to_carry_on,
)
from service.core.records import MAX_HEADERS, Headers, OutgoingRecord, SourceRecord
from service.core.spans import NOOP
from service.delivery.handler import TenantOf
from service.delivery.least_dead_letter import least_dead_letter
from service.delivery.notices import notice, notice_topics, tenant_named
from service.delivery.origin import Origin
from service.kafka.errors import DeadLetterUnfitError, OutcomesRefusedError
from service.kafka.publisher import record_bytes
from service.kafka.topic_limits import TopicLimits
from service.settings.settings import Settings
from service.telemetry.plain_text import one_line

log = structlog.get_logger(__name__)

# Connect's stages: a sink's converter could not read the value, or its task could not deal with it.
_VALUE_STAGE, _TASK_STAGE = b"VALUE_CONVERTER", b"TASK_PUT"

_MAX_MESSAGE_CHARS = 1000

_LENGTHS_BYTES = 8
"""What the lengths of a key and a value take at most beyond those of none."""

_LEAST_VALUE_BYTES = 1000
"""So much of the value is worth more than the stack."""

_MAX_STACK_CHARS = 8000
"""The innermost frames; more would crowd out the value that a re-drive needs."""


def build_dead_letter(
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


def cut(dead_letter: OutgoingRecord, *, max_bytes: int) -> OutgoingRecord:
    """Return a dead letter of at most `max_bytes`, or the smallest there is; `TRUNCATED` names what is missing.

    The uploader's headers go first, then what only helps to look into the failure (the stack, other tools' headers),
    where value and key would find no room beside it. The reason and the origin stay whole.
    """
    if record_bytes(dead_letter) <= max_bytes:
        return dead_letter
    ours = tuple(header for header in added_by_us(dead_letter.headers) if header[0] != TRUNCATED)
    whole = replace(dead_letter, headers=(*ours, (TRUNCATED, b"headers")))
    if record_bytes(whole) <= max_bytes and not is_value_cut(dead_letter):
        return whole
    for headers, missing in ((ours, b"headers,value,key"), (essential(ours), b"headers,stack,value,key")):
        bare = OutgoingRecord(dead_letter.topic, None, None, (*headers, (TRUNCATED, missing)))
        room = max_bytes - record_bytes(bare) - _LENGTHS_BYTES
        if room >= _LEAST_VALUE_BYTES:
            break
    key = dead_letter.key if dead_letter.key is not None and len(dead_letter.key) < room else None
    room -= len(key or b"")
    # The value is cut rather than left out: its start shows people what it was.
    return replace(bare, key=key, value=(dead_letter.value or b"")[: max(room, 0)])


def is_value_cut(dead_letter: OutgoingRecord) -> bool:
    """Return whether a dead letter lacks more than headers."""
    return any(name == TRUNCATED and value != b"headers" for name, value in dead_letter.headers)


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
    fields = {RAW: unreadable.raw, RAW_OFFSETS: unreadable.raw_offsets}
    if unreadable.last_offset != record.offset:
        fields[LAST_OFFSET] = str(unreadable.last_offset)
    return tuple((name, text.encode()) for name, text in fields.items() if text)


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


class DeadLetters:
    """Makes dead letters and their notices, as large as their topics accept."""

    def __init__(
        self, settings: Settings, limits: TopicLimits, *, now: Callable[[], datetime], tenant_of: TenantOf
    ) -> None:
        self._group_id = settings.kafka.group_id
        self._topic = settings.topics.dead_letters
        self._uploads = settings.topics.uploads
        self._notices = notice_topics(settings)
        self._limits = limits
        self._now = now
        self._tenant_of = tenant_of

    def of(
        self,
        record: SourceRecord,
        origin: Origin,
        failure: ModstreamError,
        *,
        tenant: str,
        attempt: int,
        trace_headers: Headers = (),
    ) -> tuple[OutgoingRecord, ...]:
        """Return the dead letter and, if the tenant has a topic of notices, the notice behind it.

        `tenant` is empty for a record that could not be read.
        """
        dead_letter = build_dead_letter(
            record,
            origin,
            failure,
            attempt=attempt,
            topic=self._topic,
            group_id=self._group_id,
            failed_at=self._now(),
            trace_headers=trace_headers,
        )
        if not self._limits.accepts(dead_letter):
            dead_letter = cut(dead_letter, max_bytes=self._limits.cut_bytes(self._topic))
        return (dead_letter, *self._notices_of(dead_letter, record, tenant))

    def least(self, record: SourceRecord, reason: str, *, attempt: int) -> OutgoingRecord:
        """Return the dead letter of a record whose full one cannot be built."""
        return least_dead_letter(
            record,
            reason,
            topic=self._topic,
            uploads=self._uploads,
            attempt=attempt,
            failed_at=self._now(),
            max_bytes=self._limits.cut_bytes(self._topic),
        )

    def _notices_of(self, dead_letter: OutgoingRecord, record: SourceRecord, tenant: str) -> Iterator[OutgoingRecord]:
        """Yield the tenant's notice if it gets one; a defect in it costs the notice alone."""
        if not self._notices:
            return
        try:
            topic = self._notices.get(tenant_named(record, tenant, self._tenant_of))
            if topic is not None:
                yield notice(dead_letter, topic)
        except Exception:
            log.exception("record.notice_failed")

    def smaller(
        self, outcomes: tuple[OutgoingRecord, ...], refusal: OutcomesRefusedError
    ) -> tuple[OutgoingRecord, ...]:
        """Return a dead letter that is cut further, or left without a notice if that is what was refused.

        Raises `DeadLetterUnfitError` when the dead letter cannot be cut to what its topic accepts.
        """
        dead_letter, *notices = outcomes
        if refusal.topic != dead_letter.topic:
            return (dead_letter,)
        smaller = cut(dead_letter, max_bytes=self._limits.cut_bytes(dead_letter.topic))
        if record_bytes(smaller) >= record_bytes(dead_letter):
            raise DeadLetterUnfitError(topic=dead_letter.topic, size_bytes=record_bytes(dead_letter))
        return (replace(smaller, span=NOOP), *notices)
