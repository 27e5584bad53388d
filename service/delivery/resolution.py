"""The resolution of a record, and the record that the committer gets with it."""

from typing import NamedTuple, Protocol

from service.core.records import OutgoingRecord
from service.delivery.dead_letter_limit import Fault
from service.kafka.errors import OutcomesRefusedError
from service.telemetry import labels


class Resolution(NamedTuple):
    """The records to publish for a record. It is a tuple, because every record makes one."""

    outcomes: tuple[OutgoingRecord, ...]
    uploaded_ms: int
    """Kafka timestamp of the record where it was first published."""
    outcome: labels.Outcome = "judged"
    """A record that is deferred waits in a retry topic: it is neither a success nor given up."""
    reason: str = ""
    """Reason code of the failure; empty for a record that was judged."""
    attempt: int = 0
    """Number of the attempt that led here, counted over all deliveries."""
    fault: Fault | None = None
    """What the limit on dead letters counts; None for all other outcomes."""


UNRESOLVED = Resolution((), -1)
"""Placeholder for a record whose handler still runs."""


class FinishedRecord(Protocol):
    """A record whose outcomes are to be committed; the committer may only replace its outcomes."""

    @property
    def offset(self) -> int:
        """The record's offset."""
        ...

    @property
    def resolution(self) -> Resolution:
        """The outcomes to publish."""
        ...

    @property
    def published_bytes(self) -> int:
        """Bytes of the outcomes."""
        ...

    @property
    def held_bytes(self) -> int:
        """Bytes of the outcomes and of the record itself, which stay in memory until the commit."""
        ...

    def replace_outcomes(self, refusal: OutcomesRefusedError) -> None:
        """Replace outcomes that a topic refused by smaller ones; may raise a `FatalError`."""
        ...
