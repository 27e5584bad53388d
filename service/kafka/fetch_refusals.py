"""Partitions that brokers refuse to read from: which ones, why and since when.

aiokafka logs such a refusal, without the partition, and asks again at once, for ever.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import (
    LeaderNotAvailableError,
    NoError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.fetch import FetchRequest

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0
"""Longest pause between two fetches from a refused partition. Each fetch reads the broker's disk."""

_FORGOTTEN_AFTER_S = 30.0
"""Several times the longest pause: a partition that was not asked for so long is no longer read here."""

_NO_REFUSAL = (NoError, OffsetOutOfRangeError, TopicAuthorizationFailedError)
"""aiokafka hands the latter two to the caller."""

_LEADER_MOVES = (NotLeaderForPartitionError, LeaderNotAvailableError, UnknownTopicOrPartitionError)
"""aiokafka looks for the leader meanwhile; a pause would delay what comes after an election."""


class Refusal(NamedTuple):
    """The error with which a broker answers fetches from a partition, and since when."""

    error: str
    """Kafka's name of the error."""
    since_s: float
    """The first refusal, by the clock of `FetchRefusals`."""
    last_s: float
    """The latest one."""
    times: int
    """Refusals since the partition was read last."""
    retry_at_s: float
    """When the partition is to be asked for again."""


class FetchRefusals:
    """Keeps one refusal for each partition, from the first error until the partition can be read."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by_partition: dict[TopicPartition, Refusal] = {}

    def of(self, partition: TopicPartition) -> Refusal | None:
        """Return the current refusal of a partition; safe in any thread."""
        refusal = self._by_partition.get(partition)
        return refusal if refusal and self._clock() - refusal.last_s < _FORGOTTEN_AFTER_S else None

    def note(self, answer: Any) -> None:
        """Record the errors in a broker's answer to a fetch, as aiokafka has decoded it."""
        for topic, partitions in answer.topics:
            for number, code, *_ in partitions:
                self._note(TopicPartition(topic, number), for_code(code))

    def _note(self, partition: TopicPartition, error: type[Exception]) -> None:
        if issubclass(error, _NO_REFUSAL):
            self._by_partition.pop(partition, None)
            return
        now_s, before = self._clock(), self.of(partition)
        times = before.times + 1 if before else 1
        pause_s = 0.0 if issubclass(error, _LEADER_MOVES) else min(_FIRST_PAUSE_S * 2 ** (times - 1), _LONGEST_PAUSE_S)
        since_s = before.since_s if before else now_s
        self._by_partition[partition] = Refusal(error.__name__, since_s, now_s, times, now_s + pause_s)

    def without_paused(self, fetches: Iterable[tuple[int, FetchRequest]]) -> list[tuple[int, FetchRequest]]:
        """Return fetches by node, without the partitions whose pause has not ended."""
        now_s = self._clock()
        paused = {partition for partition, refusal in self._by_partition.items() if now_s < refusal.retry_at_s}
        if not paused:
            return list(fetches)
        for _, request in fetches:
            request._topics = [
                (topic, kept)
                for topic, partitions in request.topics
                if (kept := [each for each in partitions if (topic, each[0]) not in paused])
            ]
        return [(node_id, request) for node_id, request in fetches if request.topics]


class ObservedClient:
    """aiokafka's client, which reports every answer to a fetch to `FetchRefusals`."""

    def __init__(self, client: Any, refusals: FetchRefusals) -> None:
        self._client = client
        self._refusals = refusals

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node_id: int, request: Any, **options: Any) -> Any:
        """Send a request as aiokafka's client does."""
        answer = await self._client.send(node_id, request, **options)
        if isinstance(request, FetchRequest):
            self._refusals.note(answer)
        return answer
