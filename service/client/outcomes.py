"""Outcomes as readers of the topics see them: records → verdicts, tags and dead letters."""

from dataclasses import asdict, dataclass

from pydantic import ValidationError

from schemas.tags import TagsV1
from schemas.verdict import VerdictV1
from service.core.headers import ATTEMPT, MESSAGE, REASON, decimal
from service.core.records import SourceRecord
from service.settings.delivery import TopicSettings

# Ours are shorter; others may write to the topics, too.
_MAX_TEXT_BYTES = 4000
_MAX_ATTEMPTS = 10**9


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The reason of a dead letter, from its headers."""

    key: str
    reason: str
    message: str
    attempt: int


Outcome = VerdictV1 | TagsV1 | DeadLetter


def outcome_of(record: SourceRecord, topics: TopicSettings) -> Outcome | None:
    """Return the message in a record of an outcome topic; None for a message of another version."""
    try:
        if record.topic == topics.verdicts:
            return VerdictV1.model_validate_json(record.value or b"")
        if record.topic == topics.tags:
            return TagsV1.model_validate_json(record.value or b"")
    except ValidationError:
        return None
    return _dead_letter(record)


def key_of(record: SourceRecord) -> str:
    """Return the record's key as text."""
    return _text(record.key)


def as_json(record: SourceRecord, outcome: Outcome) -> dict[str, object]:
    """Return an outcome and the coordinates of its record as a JSON object."""
    kinds: dict[type, str] = {VerdictV1: "verdict", TagsV1: "tags", DeadLetter: "dead_letter"}
    return {
        "kind": kinds[type(outcome)],
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": key_of(record),
        "value": asdict(outcome) if isinstance(outcome, DeadLetter) else outcome.model_dump(mode="json"),
    }


def _dead_letter(record: SourceRecord) -> DeadLetter:
    """Read the headers; those of the original record stand before ours."""
    found = dict(record.headers)
    return DeadLetter(
        key=key_of(record),
        reason=_text(found.get(REASON)) or "unknown",
        message=_text(found.get(MESSAGE)),
        attempt=decimal(found.get(ATTEMPT), at_most=_MAX_ATTEMPTS) or 1,
    )


def _text(value: bytes | None) -> str:
    return (value or b"")[:_MAX_TEXT_BYTES].decode(errors="replace")
