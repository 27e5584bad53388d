"""A log of outcomes in memory, read by the archiver through the same `Tail` as brokers' logs."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from schemas.example_files import read_examples
from schemas.registry import AUDIT_V1, TAGS_V1
from service.core.headers import ATTEMPT, FAILED_AT, MESSAGE, OFFSET, PARTITION, REASON, TIMESTAMP, TOPIC
from service.core.records import Partition, SourceRecord
from service.kafka.tail import Tail, TailBounds
from service.kafka.tolerant_consumer import TolerantConsumer
from service.settings.delivery import TopicSettings
from service.settings.kafka import KafkaSettings
from tests.unit.tools.evaluation.stored import a_verdict

TOPICS = TopicSettings()
TIME_MS = 1_772_366_400_000


@dataclass
class OutcomeLog:
    """The records of three topics; offsets of markers hold no record."""

    partitions: int = 2
    audits: bool = False
    """Whether the topic of audits is there, too."""
    records: dict[TopicPartition, dict[int, SourceRecord]] = field(default_factory=dict)
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    beginnings: dict[TopicPartition, int] = field(default_factory=dict)
    topic_ids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for topic in (*TOPICS.outcomes().values(), *((TOPICS.audit,) if self.audits else ())):
            self.topic_ids[topic] = f"id-of-{topic}"
            for number in range(self.partitions):
                place = TopicPartition(topic, number)
                self.records[place], self.ends[place], self.beginnings[place] = {}, 0, 0

    def publish(self, topic: str, number: int, value: Any, headers: Mapping[str, bytes] | None = None) -> None:
        """Add a record, and the marker of its transaction."""
        place = TopicPartition(topic, number % self.partitions)
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        offset = self.ends[place]
        self.records[place][offset] = SourceRecord(
            topic, place.partition, offset, TIME_MS, None, raw, tuple((headers or {}).items())
        )
        self.ends[place] = offset + 2

    def publish_outcomes(self, numbers: Sequence[int], *, tenants: int = 3) -> None:
        """Add a verdict of each image, and tags or a dead letter of some."""
        for number in numbers:
            tenant = f"tenant-{number % tenants}"
            self.publish(TOPICS.verdicts, number, a_verdict(number, tenant=tenant))
            if number % 3 == 0:
                self.publish(TOPICS.tags, number, some_tags(number, tenant))
            if number % 5 == 0:
                self.publish(
                    TOPICS.dead_letters, number, {"image_id": f"dead-{number}", "tenant": tenant}, _dead(number)
                )

    def publish_audits(self, numbers: Sequence[int], *, every: int = 10, flagged: int = 0, left_out: int = 0) -> None:
        """Add a verdict of each image, all allowed, and audits of some: of these the first ones missed or left out."""
        for number in numbers:
            self.publish(TOPICS.verdicts, number, a_verdict(number, decision="allow", reasons=[]))
        for place, number in enumerate(numbers[::every]):
            is_flagged = place < flagged
            reason = "no_room" if flagged <= place < flagged + left_out else None
            audit = an_audit(number, share=1 / every, flagged=is_flagged, left_out=reason)
            self.publish(TOPICS.audit, number, audit)

    def delete_before(self, place: TopicPartition, offset: int) -> None:
        """Delete old records, as retention does."""
        self.beginnings[place] = offset
        self.records[place] = {each: record for each, record in self.records[place].items() if each >= offset}

    @asynccontextmanager
    async def open_tail(self, settings: KafkaSettings, topics: Mapping[str, str]) -> AsyncIterator[Tail]:
        """Stand in for `service.kafka.tail.open_tail`."""
        bounds = TailBounds(
            {Partition(*place): offset for place, offset in self.beginnings.items()},
            {Partition(*place): offset for place, offset in self.ends.items()},
            self.topic_ids,
        )
        yield Tail(cast("TolerantConsumer", _Consumer(self)), bounds)


def an_audit(
    number: int, *, share: float = 0.1, flagged: bool = False, left_out: str | None = None, tenant: str = "shop"
) -> dict[str, Any]:
    """Return the JSON of the audit of an allowed image; with a find it shows weapons."""
    reasons = [{"category": "weapons", "decision": "review", "score": 0.7}] if flagged else []
    decision = "review" if flagged else "allow"
    verdict = a_verdict(number, tenant=tenant, decision=decision, reasons=reasons)
    example: dict[str, Any] = read_examples(AUDIT_V1)["missed"]
    live = {**example["live"], "policy": verdict["policy"]}
    facts = {"share": share, "left_out": left_out, "verdict": None if left_out else verdict, "live": live}
    return example | {name: verdict[name] for name in ("image_id", "tenant", "source", "moderated_at")} | facts


class _Consumer:
    """As much of a consumer as `Tail` uses."""

    def __init__(self, log: OutcomeLog) -> None:
        self._log = log
        self._positions: dict[TopicPartition, int] = {}

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._positions[place] = offset

    async def position(self, place: TopicPartition) -> int:
        return self._positions[place]

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[SourceRecord]]:
        fetched: dict[TopicPartition, list[SourceRecord]] = {}
        for place, position in self._positions.items():
            if position < self._log.beginnings[place]:
                raise OffsetOutOfRangeError(place)
            there = [
                self._log.records[place][offset] for offset in sorted(self._log.records[place]) if offset >= position
            ]
            taken = there[: max(0, max_records - sum(map(len, fetched.values())))]
            if taken:
                fetched[place] = taken
                self._positions[place] = taken[-1].offset + 1
            elif not there:  # behind the last marker
                self._positions[place] = max(position, self._log.ends[place])
        return fetched


def some_tags(number: int, tenant: str = "shop") -> dict[str, Any]:
    """Return the JSON of tags."""
    document: dict[str, Any] = next(iter(read_examples(TAGS_V1).values()))
    return {**document, "image_id": f"image-{number}", "tenant": tenant}


def _dead(number: int) -> dict[str, bytes]:
    return {
        REASON: b"image.not_found",
        MESSAGE: b"The image is not there",
        ATTEMPT: b"1",
        FAILED_AT: b"2026-03-01T12:00:00.412+00:00",
        TOPIC: b"images.uploaded",
        PARTITION: b"3",
        OFFSET: b"%d" % number,
        TIMESTAMP: b"%d" % TIME_MS,
    }
