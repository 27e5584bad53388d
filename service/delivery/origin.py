"""The first coordinates of a record and its number of attempts, kept in headers while it is deferred."""

import re
from dataclasses import dataclass

from service.core.headers import ATTEMPT, OFFSET, PARTITION, TIMESTAMP, TIMESTAMP_TYPE, TOPIC, decimal
from service.core.records import Headers, SourceRecord

_TOPIC_NAME = re.compile(rb"[A-Za-z0-9._-]{1,249}")
"""The names that brokers accept."""
_INT32_MAX = 2**31 - 1
_INT64_MAX = 2**63 - 1
_NO_TYPE = "NoTimestampType"
_TYPES = ("CreateTime", "LogAppendTime")
"""As Kafka's Java client writes them, by their numbers."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The coordinates of a record in the topic that it was published to, and its attempts since."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    attempts: int = 0
    timestamp_type: str = _TYPES[0]
    """Who set the timestamp: the producer (CreateTime) or the broker (LogAppendTime)."""

    def headers(self) -> Headers:
        """Return the coordinates as headers."""
        return (
            (TOPIC, self.topic.encode()),
            (PARTITION, b"%d" % self.partition),
            (OFFSET, b"%d" % self.offset),
            (TIMESTAMP, b"%d" % self.timestamp_ms),
            (TIMESTAMP_TYPE, self.timestamp_type.encode()),
        )


def fresh(record: SourceRecord) -> Origin:
    """Return the origin of a record that has not been deferred: its own coordinates."""
    return Origin(
        record.topic, record.partition, record.offset, record.timestamp_ms, timestamp_type=_timestamp_type(record)
    )


def _timestamp_type(record: SourceRecord) -> str:
    if record.timestamp_ms < 0:
        return _NO_TYPE
    return _TYPES[record.timestamp_type] if record.timestamp_type in range(len(_TYPES)) else _TYPES[0]


def origin_of(record: SourceRecord, *, uploads: str) -> Origin:
    """Return the origin of a record of a retry topic: a place in the topic of uploads, as its headers say.

    Where they name none, or another topic, another program wrote the record, and it is its own origin.
    """
    origin = parsed_origin(record.headers)
    return origin if origin is not None and origin.topic == uploads else fresh(record)


def as_uploaded(record: SourceRecord, origin: Origin) -> SourceRecord:
    """Return a record with its first coordinates, as if it had never been deferred."""
    return record._replace(
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
        timestamp_ms=origin.timestamp_ms,
    )


def parsed_origin(headers: Headers) -> Origin | None:
    """Return the origin that headers name; None when one is missing or out of the range that Kafka has for it.

    Every client that may write to a topic may write these headers, so all of them are checked.
    """
    found = dict(headers)
    topic = found.get(TOPIC)
    partition = decimal(found.get(PARTITION), at_most=_INT32_MAX)
    offset = decimal(found.get(OFFSET), at_most=_INT64_MAX)
    timestamp_ms = _timestamp(found.get(TIMESTAMP))
    attempts = decimal(found.get(ATTEMPT), at_most=_INT32_MAX - 1)
    if topic is None or not _TOPIC_NAME.fullmatch(topic):
        return None
    if partition is None or offset is None or timestamp_ms is None or attempts is None:
        return None
    written_type = (found.get(TIMESTAMP_TYPE) or b"").decode(errors="replace")
    timestamp_type = written_type if written_type in {*_TYPES, _NO_TYPE} else _TYPES[0]  # none before it was written
    return Origin(topic.decode(), partition, offset, timestamp_ms, attempts, timestamp_type)


def _timestamp(text: bytes | None) -> int | None:
    """Return a timestamp, which may be negative: brokers accept such, and -1 stands for none."""
    if text is None or not text.startswith(b"-"):
        return decimal(text, at_most=_INT64_MAX)
    before_1970 = decimal(text[1:], at_most=_INT64_MAX + 1)
    return None if before_1970 is None else -before_1970
