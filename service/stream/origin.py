"""Where a record first came from and how often it was attempted, kept in headers while it is put off."""

from dataclasses import dataclass

from service.stream.records import Headers, SourceRecord

TOPIC = "modstream-origin-topic"
PARTITION = "modstream-origin-partition"
OFFSET = "modstream-origin-offset"
TIMESTAMP = "modstream-origin-timestamp"
ATTEMPT = "modstream-attempt"
"""Attempts made so far, as decimal digits; the others are decimal too, the timestamp in epoch milliseconds."""

REDRIVEN_FROM = "modstream-redriven-from"
"""The dead letter that a record was sent back from, as topic/partition/offset."""
REDRIVEN_AT = "modstream-redriven-at"
"""When, RFC 3339 in UTC."""
REDRIVES = "modstream-redrives"
"""How often it was sent back by now, as decimal digits."""

_ADDED_PREFIXES = ("modstream-", "kafka_dlt-", "__connect.errors.")
_REDRIVE_MARKS = frozenset({REDRIVEN_FROM, REDRIVEN_AT, REDRIVES})


@dataclass(frozen=True, slots=True)
class Origin:
    """The coordinates of a record in the topic that it was published to, and its attempts since."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    attempts: int = 0

    def headers(self) -> Headers:
        """Return the coordinates as headers."""
        return (
            (TOPIC, self.topic.encode()),
            (PARTITION, b"%d" % self.partition),
            (OFFSET, b"%d" % self.offset),
            (TIMESTAMP, b"%d" % self.timestamp_ms),
        )


def fresh(record: SourceRecord) -> Origin:
    """Return the origin of a record that is where it was published."""
    return Origin(record.topic, record.partition, record.offset, record.timestamp_ms)


def put_off(record: SourceRecord) -> Origin:
    """Return the origin that the headers of a record tell; only for topics that nobody else writes."""
    return told_origin(record.headers) or fresh(record)  # somebody else did write


def told_origin(headers: Headers) -> Origin | None:
    """Return the origin that headers tell, None when they tell none."""
    found = dict(headers)
    try:
        return Origin(
            found[TOPIC].decode(), int(found[PARTITION]), int(found[OFFSET]), int(found[TIMESTAMP]), int(found[ATTEMPT])
        )
    except (KeyError, ValueError, AttributeError, TypeError):  # headers may be null, too
        return None


def without_ours(headers: Headers) -> Headers:
    """Return the uploader's own headers."""
    return tuple(header for header in headers if not header[0].startswith(_ADDED_PREFIXES))


def to_carry_on(headers: Headers) -> Headers:
    """Return the uploader's own headers and the marks of a re-drive, which outlive further failures."""
    return tuple(
        (name, value) for name, value in headers if name in _REDRIVE_MARKS or not name.startswith(_ADDED_PREFIXES)
    )
