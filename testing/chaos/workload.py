"""The records, and what must become of each: known from its number alone, so that every outcome can be checked."""

from service.core.errors import RejectedError, TransientError
from service.core.records import OutgoingRecord, SourceRecord
from service.settings.delivery import TopicSettings

# As in the workload that Confluent's Parallel Consumer reports on.
RECORD_BYTES = 100
MAX_HANDLER_S = 0.005


class FatedToFailError(RejectedError):
    """The record's number says that it cannot be judged."""

    reason = "chaos.rejected"
    message = "Record {number} is one of those that are rejected"


class FatedToStumbleError(TransientError):
    """The record's number says that its first attempt fails."""

    reason = "chaos.stumbled"
    message = "Record {number} is one of those that fail once"


def encode(number: int) -> bytes:
    """Write a record's number as a value of `RECORD_BYTES` bytes."""
    return b"%08d" % number + b"." * (RECORD_BYTES - 8)


def decode(value: bytes | None) -> int:
    """Read the number of a record, an outcome or a dead letter."""
    if value is None:
        raise ValueError("a record without a value is none of ours")
    return int(value[:8])


def is_rejected(number: int) -> bool:
    """One record of fifty becomes a dead letter."""
    return number % 50 == 7


def stumbles(number: int) -> bool:
    """One record of twenty fails the first time that a process sees it."""
    return number % 20 == 3


def expected_topics(number: int, topics: TopicSettings) -> frozenset[str]:
    """Return where the outcomes of a record must be found, once in each."""
    if is_rejected(number):
        return frozenset({topics.dead_letters})
    return frozenset({topics.verdicts, topics.tags} if number % 4 == 0 else {topics.verdicts})


class Judge:
    """What all workers share: the outcomes of one record, or its failure."""

    def __init__(self, topics: TopicSettings) -> None:
        self._topics = topics
        self._stumbled: set[int] = set()

    def outcomes(self, record: SourceRecord) -> tuple[OutgoingRecord, ...]:
        """Return what is to be published; raise as the record's number says."""
        number = decode(record.value)
        if is_rejected(number):
            raise FatedToFailError(number=number)
        if stumbles(number) and number not in self._stumbled:
            self._stumbled.add(number)
            raise FatedToStumbleError(number=number)
        targets = sorted(expected_topics(number, self._topics))
        return tuple(OutgoingRecord(topic, record.key, record.value, ()) for topic in targets)
