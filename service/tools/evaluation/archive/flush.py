"""The plan of a flush: which offsets it holds, and which files it consists of.

A flush spans several files, which do not appear at one moment. So its plan is written first, under a name that only
one process can take. From then on the flush is bound to happen: a process that starts later and finds a file missing
reads the same offsets again and writes it. The offsets are committed records, so it writes the same rows.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from service.core.records import Partition
from service.tools.evaluation.stored.archive_layout import ROWS, VERSION

_Offset = Annotated[int, Field(ge=0, le=2**63 - 1)]
_RowsName = Annotated[str, StringConstraints(pattern=f"^{ROWS.pattern}$", max_length=400)]


class TopicOffsets(BaseModel):
    """The offsets of one topic in a flush, by partition."""

    model_config = ConfigDict(frozen=True)

    topic_id: str | None = None
    """A topic that is deleted and made again has another one. None from brokers before Kafka 2.8."""
    start: Mapping[int, _Offset]
    """The first offset of the flush."""
    end: Mapping[int, _Offset]
    """The offset behind the last one: where the next flush begins."""


class Flush(BaseModel):
    """The plan of one flush. Offsets are cumulative: it names every partition, also those without new records."""

    model_config = ConfigDict(frozen=True)

    version: Literal["2"] = VERSION
    number: Annotated[int, Field(ge=1, lt=10**12)]
    planned_at: datetime
    topics: Mapping[str, TopicOffsets]
    files: tuple[_RowsName, ...]

    def starts(self) -> dict[Partition, int]:
        """Return the first offset of every partition."""
        return {
            Partition(topic, number): offset
            for topic, offsets in self.topics.items()
            for number, offset in offsets.start.items()
        }

    def ends(self) -> dict[Partition, int]:
        """Return the offset behind the last one of every partition."""
        return {
            Partition(topic, number): offset
            for topic, offsets in self.topics.items()
            for number, offset in offsets.end.items()
        }

    def topic_ids(self) -> dict[str, str]:
        """Return the ids of the topics, as far as they are known."""
        return {topic: offsets.topic_id for topic, offsets in self.topics.items() if offsets.topic_id is not None}


def topic_offsets(
    starts: Mapping[Partition, int], ends: Mapping[Partition, int], topic_ids: Mapping[str, str]
) -> dict[str, TopicOffsets]:
    """Return offsets in the form of a plan."""
    return {
        topic: TopicOffsets(
            topic_id=topic_ids.get(topic),
            start={place.partition: offset for place, offset in sorted(starts.items()) if place.topic == topic},
            end={place.partition: offset for place, offset in sorted(ends.items()) if place.topic == topic},
        )
        for topic in sorted({place.topic for place in ends})
    }
