"""Kafka records as the rooms above `kafka` use them."""

from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

from service.core.errors import RejectedError
from service.core.spans import NOOP, Span

Headers = tuple[tuple[str, bytes], ...]

MAX_HEADERS = 1_000
"""What an uploader may send along; an event with more is rejected. Tracing and routing take some dozen."""
MAX_HEADERS_KEPT = MAX_HEADERS + 100
"""What is kept of a record's headers: enough for those that a failure adds, and to notice that there are too many."""


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


class Unreadable(NamedTuple):
    """The fault of a record that the Kafka client cannot read, at one offset or several in a row."""

    error: type[RejectedError]
    """What its dead letter is given as the reason; takes the fact `detail`."""
    detail: str
    last_offset: int
    """The last of the offsets; the first is the record's own."""
    raw: str = ""
    """What the value is where it is no event: a `record` or a `batch` in Kafka's format, or a part of one."""
    raw_offsets: str = ""
    """The offsets that a raw batch spans, as first-last."""

    def fail(self) -> NoReturn:
        """Raise the error of the fault."""
        raise self.error(detail=self.detail)


class SourceRecord(NamedTuple):
    """A record of an input topic. It is a tuple, which is created in half the time."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_type: int = 0
    """Who set the timestamp, as Kafka numbers it: 0 its producer, 1 the broker."""
    unreadable: Unreadable | None = None
    """Set when the client could not read it: key, value and headers are what could be saved of it."""

    @property
    def last_offset(self) -> int:
        """The last offset that the record covers: its own, except for an unreadable batch."""
        return self.offset if self.unreadable is None else self.unreadable.last_offset


_HEADER_BYTES = 160
"""What CPython takes for a header's tuple, name and value besides their characters: fifty times what an empty one takes
on the wire, of which a record may have a thousand."""


def record_size_bytes(record: SourceRecord) -> int:
    """Return the memory of a record's key, value and headers, which are kept until it is committed."""
    size_bytes = len(record.value or b"") + len(record.key or b"") + _HEADER_BYTES * len(record.headers)
    for name, value in record.headers:
        size_bytes += len(name) + len(value or b"")
    return size_bytes


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """A record to publish; the broker's default partitioner places it by its key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    span: Span = field(default=NOOP, compare=False, repr=False)
    """Ends when a commit has published the record."""
