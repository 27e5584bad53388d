"""Where a record first came from, kept in headers while it passes through other topics."""

from dataclasses import dataclass

from service.stream.records import Headers, SourceRecord

TOPIC = "modstream-origin-topic"
PARTITION = "modstream-origin-partition"
OFFSET = "modstream-origin-offset"
TIMESTAMP = "modstream-origin-timestamp"
ATTEMPT = "modstream-attempt"
"""Attempts made so far, as decimal digits; the others are decimal too, the timestamp in epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The coordinates of a record in the topic that it was published to."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int

    def headers(self) -> Headers:
        """Return them as headers."""
        return (
            (TOPIC, self.topic.encode()),
            (PARTITION, b"%d" % self.partition),
            (OFFSET, b"%d" % self.offset),
            (TIMESTAMP, b"%d" % self.timestamp_ms),
        )


def origin_of(record: SourceRecord) -> Origin:
    """Return where a record came from, through its headers where it was put off before."""
    found = dict(record.headers)
    try:
        return Origin(found[TOPIC].decode(), int(found[PARTITION]), int(found[OFFSET]), int(found[TIMESTAMP]))
    except (KeyError, ValueError):  # a first delivery, or headers that are none of ours
        return Origin(record.topic, record.partition, record.offset, record.timestamp_ms)


def attempts_made(record: SourceRecord) -> int:
    """Return how many attempts were made on a record before this delivery."""
    digits = dict(record.headers).get(ATTEMPT, b"")
    return int(digits) if digits.isdigit() else 0
