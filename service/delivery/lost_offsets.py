"""Pure: whether a partition's log fits the offset that the group stored, and where to continue if it does not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from service.delivery.offsets import Progress
from service.kafka.log_bounds import LogBounds

Cause: TypeAlias = Literal["topic_recreated", "log_truncated", "records_deleted", "offset_missing"]
Choice: TypeAlias = Literal["stop", "earliest", "latest"]


@dataclass(frozen=True, slots=True)
class LostOffsets:
    """One contradiction between a partition's log and the group's offset."""

    cause: Cause
    detail: str
    """Description with the offsets, for messages."""

    @property
    def advice(self) -> str:
        """The value of `kafka.on_lost_offsets` that usually fits this cause, in words."""
        return _ADVICE[self.cause]


_ADVICE: Mapping[Cause, str] = {
    "topic_recreated": "Nothing of the new topic was read, so earliest is right",
    "log_truncated": "latest is right if the records that are left were judged before, earliest in doubt",
    "records_deleted": "What was deleted is gone from Kafka, so go on soon: retention does not wait",
    "offset_missing": (
        "If the group is a new one on topics with outcomes of another, earliest judges all records once more and "
        "latest only those that come from now on. If its offsets were lost, set them to the time of the last verdict "
        "(--to-datetime in place of --to-offset below)"
    ),
}


def contradiction(
    stored: Progress, bounds: LogBounds, *, known_topic_id: str | None = None, trusts_ends: bool
) -> LostOffsets | None:
    """Return what speaks against going on from a stored progress; None when nothing does.

    `known_topic_id` is the topic as this process knew it, for progress without an id. Without `trusts_ends`, an end
    below the offset is no contradiction: some brokers report wrong ends.
    """
    topic_id = stored.topic_id or known_topic_id
    if topic_id and bounds.topic_id and topic_id != bounds.topic_id:
        return LostOffsets(
            "topic_recreated",
            f"offset {stored.base} belongs to the topic with id {topic_id}; it was deleted, and the topic of this name "
            f"has id {bounds.topic_id} and offsets {bounds.start} to {bounds.end}",
        )
    if trusts_ends and stored.end > bounds.end:
        return truncated(stored.end, bounds)
    if unfinished := stored.unfinished_below(bounds.start):
        return deleted(stored.base, bounds, at_most=unfinished)
    return None


def truncated(offset: int, bounds: LogBounds) -> LostOffsets:
    """Return the contradiction of a log that ends below an offset that was read already."""
    return LostOffsets(
        "log_truncated",
        f"offset {offset} was reached, and the log ends at {bounds.end}: it was truncated, or the topic made again",
    )


def deleted(offset: int, bounds: LogBounds, *, at_most: int) -> LostOffsets:
    """Return the contradiction of a log that begins above the offset that is to be read next."""
    return LostOffsets(
        "records_deleted",
        f"the log begins at offset {bounds.start}, above {offset}: retention or an operator deleted at most {at_most} "
        "records before they were judged",
    )


def missing(bounds: LogBounds) -> LostOffsets:
    """Return the contradiction of a group without an offset whose outcomes exist."""
    return LostOffsets(
        "offset_missing",
        "the group has no offset for any partition of the topic, and outcomes were published before: it expired (the "
        "brokers' offsets.retention.minutes), was deleted, with the topic perhaps, or belongs to another group; what "
        f"lies at offsets {bounds.start} to {bounds.end} may have been judged",
    )


def going_on(lost: LostOffsets, stored: Progress | None, bounds: LogBounds, choice: Choice) -> Progress:
    """Return the offset at which to continue in spite of a contradiction; `choice` is `earliest` or `latest`."""
    if lost.cause == "records_deleted" and stored is not None:
        return stored.raised(bounds.start)
    return Progress(bounds.start if choice == "earliest" else bounds.end)
