"""Kafka records as the rest of the service sees them."""

from dataclasses import dataclass, field
from typing import NamedTuple

from service.telemetry.spans import QUIET, Span

Headers = tuple[tuple[str, bytes], ...]


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class SourceRecord(NamedTuple):
    """A record as it came from an input topic; a tuple, which is made in half the time."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """A record to publish; the broker's default partitioner places it by its key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    span: Span = field(default=QUIET, compare=False, repr=False)
    """Ends when a commit has published the record."""
