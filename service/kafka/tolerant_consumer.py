"""aiokafka's consumer, reading answers by `FetchedRecords` and holding no more of them than a limit.

aiokafka has no option for either. Its fetcher names the classes that read an answer as globals of its module, so this
consumer's fetcher runs the same code with two other names; no other consumer is touched. An aiokafka that is built
otherwise is refused at once.
"""

import time
from functools import partial
from types import MethodType
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import Fetcher

from service.core.records import SourceRecord
from service.kafka.fetch_refusals import FetchRefusals, ObservedClient
from service.kafka.fetched_records import Answer, DamagedBatches, FetchedRecords
from service.kafka.with_globals import with_globals

_READ_WITHIN_S = 2.0
"""A partition that was not asked for during the last so many seconds of polling is not being read."""


class TolerantConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka ships no types
    """Returns a `SourceRecord` for every record, and one with the fault for a record that it cannot read."""

    def __init__(self, *topics: str, max_batch_bytes: int, max_held_bytes: int, **options: Any) -> None:
        self._max_batch_bytes = max_batch_bytes
        self._max_held_bytes = max_held_bytes
        self._tolerant_fetcher: Fetcher | None = None
        self._polled_at_s: dict[TopicPartition, float] = {}
        self._damaged = DamagedBatches()
        self.refusals = FetchRefusals()
        """Refusals of partitions that the brokers do not let be read."""
        super().__init__(*topics, **options)

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[SourceRecord]]:
        """Return records as aiokafka does, and record which partitions are being read."""
        self._polled_at_s.update(dict.fromkeys(partitions, time.monotonic()))
        fetched: dict[TopicPartition, list[SourceRecord]] = await super().getmany(
            *partitions, timeout_ms=timeout_ms, max_records=max_records
        )
        return fetched

    @property
    def _fetcher(self) -> Fetcher | None:
        return self._tolerant_fetcher

    @_fetcher.setter
    def _fetcher(self, fetcher: Fetcher | None) -> None:
        """Take over the fetcher that `start` has just made, before its task runs for the first time."""
        self._tolerant_fetcher = fetcher
        if fetcher is not None:
            records = partial(
                FetchedRecords,
                max_batch_bytes=self._max_batch_bytes,
                log_end=partial(_log_end, fetcher),
                damaged=self._damaged,
            )
            fetcher._client = ObservedClient(fetcher._client, self.refusals)
            names = {"MemoryRecords": Answer, "PartitionRecords": records}
            fetcher._proc_fetch_request = MethodType(with_globals(Fetcher._proc_fetch_request, names), fetcher)
            fetcher._get_actions_per_node = partial(self._actions, fetcher)

    def _actions(self, fetcher: Fetcher, assignment: Any) -> tuple[Any, ...]:
        """Return what aiokafka's fetcher would do next, without fetches while it holds enough."""
        fetches, *others = Fetcher._get_actions_per_node(fetcher, assignment)
        holds_enough = self._held_bytes(fetcher) >= self._max_held_bytes
        return ([] if holds_enough else self.refusals.without_paused(fetches), *others)

    def _held_bytes(self, fetcher: Fetcher) -> int:
        """Return how many bytes of answers wait in partitions that are being read.

        One that is not, because its next record is not due, must not keep the others from being fetched.
        """
        since_s = max(self._polled_at_s.values(), default=0.0) - _READ_WITHIN_S
        waiting = (
            getattr(result, "_partition_records", None)  # an error has none
            for partition, result in fetcher._records.items()
            if self._polled_at_s.get(partition, since_s) >= since_s
        )
        return sum(records.held_bytes for records in waiting if records is not None)


def _log_end(fetcher: Fetcher, partition: TopicPartition) -> int | None:
    """Return the end of a partition by the newest answer, None if that is not known."""
    subscription = fetcher._subscriptions.subscription
    assignment = subscription.assignment if subscription is not None else None
    state = assignment.state_value(partition) if assignment is not None else None
    end: int | None = state.highwater if state is not None else None
    return end
