"""Pure: reads the headers of a record in the dead-letter topic."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from service.core.headers import (
    ATTEMPT,
    ERROR_CLASS,
    FAILED_AT,
    LAST_MS,
    MESSAGE,
    RAW,
    REASON,
    REDRIVEN_FROM,
    REDRIVES,
    STACK,
    TRUNCATED,
)
from service.core.records import SourceRecord
from service.delivery.origin import Origin, parsed_origin
from service.events.raw_event import tenant_of
from service.telemetry import names
from service.tools.dead_letters.fingerprint import fingerprint

UNKNOWN_REASON = "unknown"
"""Of a record that another program wrote into the topic."""

# Ours are shorter. Others may write to the topic, and what they write is matched, counted and shown.
_MAX_HEADER_BYTES = 4_000
_MAX_STACK_BYTES = 32_000
_MAX_KEY_BYTES = 1000
_KNOWN_HEADERS = frozenset(
    {
        REASON,
        MESSAGE,
        ERROR_CLASS,
        STACK,
        ATTEMPT,
        FAILED_AT,
        RAW,
        TRUNCATED,
        REDRIVES,
        REDRIVEN_FROM,
        names.TRACEPARENT,
    }
    | {"traceparent"}
)

_TRACE_ID = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-")


@dataclass(frozen=True)
class StoredDeadLetter:
    """One dead letter; fields that its headers lack are empty, 0 or None."""

    record: SourceRecord
    reason: str
    message: str
    error_class: str
    stack: str
    attempts: int
    failed_at: datetime
    """When the record was written, where no header says it."""
    origin: Origin | None
    truncated: str
    """What had to be cut, such as `headers,value,key`."""
    raw: str
    """What the value is where it is no event, `record` or `batch`; empty where it is the record's own."""
    redrives: int
    """How often the record was sent back before it failed like this."""
    redriven_from: str
    trace_id: str
    """Of the attempt that failed, else of the uploader's trace."""

    @property
    def place(self) -> str:
        """The dead letter's place in its topic, partition:offset, as `show` takes it."""
        return f"{self.record.partition}:{self.record.offset}"

    @property
    def key(self) -> str:
        """The beginning of the record's key as text."""
        return (self.record.key or b"")[:_MAX_KEY_BYTES].decode(errors="replace")

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the kind of failure."""
        return fingerprint(self.reason, self.error_class, self.message, self.stack)

    @cached_property
    def tenant(self) -> str | None:
        """The tenant of the event; None if the event cannot be read."""
        return tenant_of(self.record)


def read_dead_letter(record: SourceRecord) -> StoredDeadLetter:
    """Read the headers; of repeated ones the last counts, because ours stand behind those of the original record."""
    texts = {
        name: (value or b"")[: _MAX_STACK_BYTES if name == STACK else _MAX_HEADER_BYTES].decode(errors="replace")
        for name, value in record.headers
        if name in _KNOWN_HEADERS
    }
    return StoredDeadLetter(
        record=record,
        reason=texts.get(REASON, UNKNOWN_REASON),
        message=texts.get(MESSAGE, record.unreadable.detail if record.unreadable else ""),
        error_class=texts.get(ERROR_CLASS, ""),
        stack=texts.get(STACK, ""),
        attempts=_number(texts.get(ATTEMPT, "")),
        failed_at=_moment(texts.get(FAILED_AT, ""), record.timestamp_ms),
        origin=parsed_origin(record.headers),
        truncated=texts.get(TRUNCATED, ""),
        raw=texts.get(RAW, record.unreadable.raw if record.unreadable else ""),
        redrives=_number(texts.get(REDRIVES, "")),
        redriven_from=texts.get(REDRIVEN_FROM, ""),
        trace_id=_trace_id(texts.get(names.TRACEPARENT, "")) or _trace_id(texts.get("traceparent", "")),
    )


def _number(digits: str) -> int:
    # Longer ones are no count of ours, and Python refuses to read the longest.
    return int(digits) if digits.isdecimal() and len(digits) < 10 else 0  # noqa: PLR2004 - see above


def _moment(text: str, timestamp_ms: int) -> datetime:
    """Read when it failed; what no header says counts as failed when it was written, within the years that exist."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    return datetime.fromtimestamp(min(max(timestamp_ms, 0), LAST_MS) / 1000, UTC)


def _trace_id(traceparent: str) -> str:
    found = _TRACE_ID.match(traceparent)
    return found[1] if found else ""
