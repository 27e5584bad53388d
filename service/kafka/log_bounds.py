"""How far the partitions' logs go, asked of the brokers at intervals; an answer also shows that they are reachable.

What a fetch reports of it does not suffice: a partition that rests, or whose records wait in aiokafka, is not fetched
from, and its lag would seem to stand still.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.core.records import Partition
from service.kafka.topic_ids import topic_ids

log = structlog.get_logger(__name__)

_TIMEOUT_S = 3.0
"""Time limit for an answer that usually takes milliseconds."""


@dataclass(frozen=True, slots=True)
class LogBounds:
    """The bounds of one partition's log: its start, its end, and the end for committed records."""

    start: int
    """The oldest offset that is still there; retention and deletions move it up."""
    stable_end: int
    """The last stable offset: below it every transaction has ended, and all that is committed can be read."""
    end: int
    """The high watermark: the offset behind the newest record that all replicas have."""
    topic_id: str | None = None
    """Id of the topic. None if the broker does not report topic ids."""
    unstable_since_s: float | None = None
    """Since when one open transaction holds back what lies above `stable_end`, by `time.monotonic`; None when none."""


class BoundsReader:
    """Reads the bounds of partitions from their leaders."""

    def __init__(self, consumer: AIOKafkaConsumer, onlooker: AIOKafkaConsumer) -> None:
        """`consumer` reads what is committed, `onlooker` all there is."""
        self._consumer = consumer
        self._onlooker = onlooker

    async def read(self, partitions: Collection[Partition]) -> dict[Partition, LogBounds]:
        """Return the bounds; raises `KafkaError`, `OSError` or `TimeoutError` if a leader does not respond."""
        places = [TopicPartition(*partition) for partition in partitions]
        async with asyncio.timeout(_TIMEOUT_S):
            starts, stable_ends, ends, ids = await asyncio.gather(
                self._onlooker.beginning_offsets(places),
                self._consumer.end_offsets(places),
                self._onlooker.end_offsets(places),
                topic_ids(self._onlooker._client, {place.topic for place in places}),
            )
        return {
            # Asked at slightly different moments: an end that was asked for earlier may be the lower one.
            Partition(*place): LogBounds(
                starts[place], stable_ends[place], max(ends[place], stable_ends[place]), ids.get(place.topic)
            )
            for place in places
        }


class LogEnds:
    """Keeps the bounds of some partitions, and the time of the brokers' last response."""

    def __init__(
        self,
        read: Callable[[Collection[Partition]], Awaitable[Mapping[Partition, LogBounds]]],
        *,
        without_any: Partition,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`without_any` is asked for when nothing is assigned, to learn whether the brokers are there."""
        self._read = read
        self._without_any = without_any
        self._clock = clock
        self.by_partition: Mapping[Partition, LogBounds] = {}
        self.answered_at_s: float | None = None
        """Time of the last answer by `time.monotonic`. None before the first answer."""

    async def ask(self, partitions: Collection[Partition]) -> bool:
        """Read the bounds once; return whether the brokers responded. Without a response nothing changes."""
        try:
            answer = await self._read(partitions or [self._without_any])
        except (KafkaError, OSError, TimeoutError) as error:
            log.debug("partitions.ends_unknown", error=error)
            return False
        now_s, before = self._clock(), self.by_partition
        self.by_partition = {
            partition: _with_age(bounds, before.get(partition), now_s) for partition, bounds in answer.items()
        }
        self.answered_at_s = now_s
        return True


def _with_age(bounds: LogBounds, before: LogBounds | None, now_s: float) -> LogBounds:
    """Pure: add since when the stable end has stood still below the end."""
    if bounds.end <= bounds.stable_end:
        return bounds
    stood_still = before is not None and before.stable_end == bounds.stable_end
    since_s = before.unstable_since_s if before is not None and stood_still else None
    return replace(bounds, unstable_since_s=now_s if since_s is None else since_s)
