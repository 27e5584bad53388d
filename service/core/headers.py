"""The names of the headers that the service adds to a record, and which headers are the uploader's own."""

from service.core.records import Headers

TOPIC = "modstream-origin-topic"
PARTITION = "modstream-origin-partition"
OFFSET = "modstream-origin-offset"
TIMESTAMP = "modstream-origin-timestamp"
TIMESTAMP_TYPE = "modstream-origin-timestamp-type"
"""Who set the timestamp, in Kafka's words."""
ATTEMPT = "modstream-attempt"
"""Attempts made so far, as decimal digits; the others are decimal too, the timestamp in epoch milliseconds."""

REDRIVEN_FROM = "modstream-redriven-from"
"""The dead letter that a record was sent back from, as topic/partition/offset."""
REDRIVEN_AT = "modstream-redriven-at"
"""When, RFC 3339 in UTC."""
REDRIVES = "modstream-redrives"
"""How often it was sent back by now, as decimal digits."""

COORDINATES = (TOPIC, PARTITION, OFFSET, TIMESTAMP)

EVENT_ID = "ce_id"
"""The id of a CloudEvent in binary mode."""

REASON = "modstream-reason"
MESSAGE = "modstream-message"
FAILED_AT = "modstream-failed-at"
TRUNCATED = "modstream-truncated"
"""Which parts had to be left out or cut so that the record fits, such as `value`; absent when nothing was."""

RAW = "modstream-raw"
"""What the value is where the Kafka client could not read the record: a `record` or a `batch` of records in Kafka's
format, as far as it was kept; absent when the value is the record's own."""
RAW_OFFSETS = "modstream-raw-offsets"
"""The offsets that a raw batch spans, as first-last; its bytes are in the dead letter of the first."""
LAST_OFFSET = "modstream-origin-last-offset"
"""The last of the offsets that a dead letter stands for; absent when it stands for one."""

ERROR_CLASS = "kafka_dlt-exception-fqcn"
CAUSE_CLASS = "kafka_dlt-exception-cause-fqcn"
"""Absent where there is no cause, as with Spring."""
STACK = "kafka_dlt-exception-stacktrace"

NOT_BEFORE = "modstream-not-before"
"""When the next attempt may begin, in epoch milliseconds as decimal digits."""
ENGINE_LOSSES = "modstream-engine-losses"
"""Engines or servers that stopped working with the record in flight, counted over all its attempts."""

LAST_MS = 253_402_300_799_000
"""The end of the year 9999, after which there is no calendar, in epoch milliseconds."""
_MAX_DIGITS = len(str(2**63 - 1))

_ADDED_PREFIXES = ("modstream-", "kafka_dlt-", "__connect.errors.")
REDRIVE_MARKS = frozenset({REDRIVEN_FROM, REDRIVEN_AT, REDRIVES})

_ESSENTIAL = frozenset(
    {REASON, MESSAGE, ATTEMPT, FAILED_AT, RAW, RAW_OFFSETS, LAST_OFFSET, *COORDINATES, *REDRIVE_MARKS}
)

_SHORT_BYTES = 256
"""Bytes of an essential header in a reduced dead letter: topic names are shorter, and messages are still useful."""


def decimal(digits: bytes | None, *, at_most: int) -> int | None:
    """Return the number that a header holds as decimal digits; None for anything else, and for a larger number."""
    if not digits or len(digits) > _MAX_DIGITS or not digits.isdigit():
        return None
    number = int(digits)
    return number if number <= at_most else None


def without_ours(headers: Headers) -> Headers:
    """Return the uploader's own headers."""
    return tuple(header for header in headers if not header[0].startswith(_ADDED_PREFIXES))


def added_by_us(headers: Headers) -> Headers:
    """Return all but the uploader's own headers."""
    return tuple(header for header in headers if header[0].startswith(_ADDED_PREFIXES))


def to_carry_on(headers: Headers) -> Headers:
    """Return the uploader's own headers and the marks of a re-drive, which outlive further failures."""
    return tuple(
        (name, value) for name, value in headers if name in REDRIVE_MARKS or not name.startswith(_ADDED_PREFIXES)
    )


def essential(headers: Headers) -> Headers:
    """Return the reason, the origin and the marks of a re-drive, each once and short: uploaders may write the marks."""
    found = {name: value[:_SHORT_BYTES] for name, value in headers if name in _ESSENTIAL and value is not None}
    return tuple(found.items())
