"""The interface between the delivery of records and the handler that turns each into its outcomes."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from service.core.losses import EngineLosses
from service.core.records import OutgoingRecord, SourceRecord
from service.telemetry.record_trace import RecordTrace


class Reading(NamedTuple):
    """The content of a record, read once when it is received. It is a tuple, because every record makes one."""

    tenant: str = ""
    """Whose record it is: shares of the service are counted by tenant. Empty for a record that cannot be read."""
    is_fetched: bool = False
    """Whether the record's image has to be fetched. It needs no work slot until the image has arrived."""
    host: str = ""
    """Host that the event names, with its port where that is unusual; empty for stores and hosts of the operator."""
    is_in_own_store: bool = False
    """The image lies in a store of the operator, whose failures no event brings about."""
    held_bytes: int = 0
    """Bytes that the reading itself holds in memory."""
    event_id: str | None = None
    """CloudEvents id of the event; None for one that is no CloudEvent."""
    event_source: str | None = None
    """CloudEvents source of the event; None as above."""
    event: Any = None
    """What the reader made of the record, for the handler; None where there is no reader, or it could not read it."""


UNREAD = Reading()

READING_TURN_S = 0.01
"""Time (seconds) for reading events before the event loop gets a turn. The last event may take longer."""

Read = Callable[[SourceRecord], Reading]


def reading_of(read: Read, record: SourceRecord) -> Reading:
    """Read a record.

    A defect of the reader is ignored here: the handler meets it again, where it affects this record alone.
    """
    try:
        return read(record)
    except Exception:  # noqa: BLE001 - the handler reads it again, and its attempts report the error
        return UNREAD


TenantOf = Callable[[SourceRecord], str | None]
"""Returns the tenant that a record names although it breaks the rules; None where it names none."""


def names_no_tenant(_record: SourceRecord) -> str | None:
    """Return None: without a reader no record names a tenant."""
    return None


class Resources(Protocol):
    """The share of the process that a record takes."""

    async def acquire_slot(self) -> None:
        """Wait for a work slot; return at once if the record has one."""
        ...

    def release_slot(self) -> None:
        """Give the work slot to another record while this one waits for something slow."""
        ...


class ReceivedRecord(Resources, Protocol):
    """A received record without outcomes, with its content and its resources."""

    @property
    def record(self) -> SourceRecord:
        """The record as it was read from its topic."""
        ...

    @property
    def reading(self) -> Reading:
        """The content of the record."""
        ...

    @property
    def received_at_s(self) -> float:
        """The time when the record was received, by `time.perf_counter`."""
        ...


class Job(NamedTuple):
    """One record to handle, and the number of this attempt, from 1. It is a tuple, because every record makes one."""

    record: SourceRecord
    attempt: int
    received_at_s: float
    """When the record came, by `time.perf_counter`; what it waited for since is part of its time."""
    resources: Resources
    """What the record takes of the process; a record whose image is fetched starts without a work slot."""
    trace: RecordTrace
    """Trace of this attempt."""
    reading: Reading = UNREAD
    """What the record says."""
    losses: EngineLosses | None = None
    """Engines or servers that stopped working with the record in flight, counted over all its attempts."""
    delivered: SourceRecord | None = None
    """The record where it was read from, if that is a retry topic; `record` has the coordinates of the upload."""


class Handler(Protocol):
    """Returns the records to publish for a job; raises an error that decides what becomes of the record."""

    async def __call__(self, job: Job, /) -> tuple[OutgoingRecord, ...]:
        """Return the outcomes; raise `RejectedError`, `TransientError` or `FatalError` (all else is unexpected)."""
        ...
