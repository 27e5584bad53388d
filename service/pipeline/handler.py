"""What the stream asks of whoever judges records."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from service.stream.records import OutgoingRecord, SourceRecord
from service.telemetry.record_trace import RecordTrace


class Job(NamedTuple):
    """One record to handle, and which attempt this is, from 1; a tuple, because every record makes one."""

    record: SourceRecord
    attempt: int
    received_at_s: float
    """When the record came, by `time.perf_counter`; what it waited for since is part of its time."""
    hold_bytes: Callable[[int], None]
    """Counts bytes that were fetched for the record into the window, until the record is finished."""
    trace: RecordTrace
    """Of this attempt."""


class Handler(Protocol):
    """Turns a record into what is published for it."""

    async def __call__(self, job: Job, /) -> tuple[OutgoingRecord, ...]:
        """Return the outcomes; raise `RejectedError`, `TransientError` or `FatalError` (all else is unexpected)."""
        ...
