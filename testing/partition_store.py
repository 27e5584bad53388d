"""A working stand-in for a broker's side of one partition: outcomes and progress, committed as one."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Literal

from service.core.records import OutgoingRecord
from service.delivery.offsets import Progress
from service.delivery.transactional_writer import was_committed
from service.kafka.errors import CommitTimedOutError, CommitUnknownError, OutcomesRefusedError, PartitionLostError
from service.kafka.publisher import record_bytes
from service.kafka.topic_limits import TopicLimit

Fault = Literal["lost request", "lost answer", "unreachable", "evicted"]


class PartitionStore:
    """What is committed for a partition, by any writer."""

    def __init__(self) -> None:
        self.progress: Progress | None = Progress(0)
        self.records: list[OutgoingRecord] = []
        self.commits: list[list[OutgoingRecord]] = []
        self.max_record_bytes: dict[str, int] = {}
        """A topic refuses records that are larger, and its whole batch with them."""
        self.max_batch_bytes: dict[str, int] = {}
        """A topic refuses all records of a commit if they are larger together."""
        self.most_bytes_in_time = 10**9
        """A commit of more takes too long."""
        self.outages: list[str] = []
        """What is found after each commit that took too long."""

    async def find_outage(self) -> str | None:
        """Say what goes on, and end it the last time."""
        if not self.outages:
            return None
        outage = self.outages.pop(0)
        if not self.outages:
            self.most_bytes_in_time = 10**9
        return outage

    async def report_limits(self) -> Mapping[str, TopicLimit]:
        """Return what topics accept."""
        return {topic: TopicLimit(limit, limit) for topic, limit in self.max_record_bytes.items()}

    def check(self, records: Sequence[OutgoingRecord]) -> None:
        """Raise what brokers answer to records that are too large or too many."""
        for topic in {record.topic for record in records}:
            batch = [record for record in records if record.topic == topic]
            sizes = [record_bytes(record) for record in batch]
            total, largest = sum(sizes), max(sizes)
            if largest > self.max_record_bytes.get(topic, largest) or total > self.max_batch_bytes.get(topic, total):
                raise OutcomesRefusedError(topic, batch, size_bytes=total, detail="MessageSizeTooLargeError")
        if sum(map(record_bytes, records)) > self.most_bytes_in_time:
            raise CommitTimedOutError("no answer in time")

    def commit(self, records: Sequence[OutgoingRecord], progress: Progress) -> None:
        """Store as one."""
        self.progress = progress
        self.records += records
        self.commits.append(list(records))


class StoreWriter:
    """An `OutcomeWriter` on a store; faults happen in the order given, each to one call."""

    def __init__(self, store: PartitionStore, faults: Sequence[Fault] = ()) -> None:
        self._store = store
        self._faults = deque(faults)
        self.is_open = False
        self.commits_begun = 0
        self.may_commit = asyncio.Event()
        self.may_commit.set()

    async def open(self) -> Progress | None:
        """Open, unless unreachable."""
        if self._fault("unreachable"):
            raise CommitUnknownError("unreachable")
        self.is_open = True
        return self._store.progress

    async def commit(self, records: Sequence[OutgoingRecord], progress: Progress) -> None:
        """Commit, unless the request or its answer is lost."""
        if not self.is_open:
            raise CommitUnknownError("not open")
        self.commits_begun += 1
        await self.may_commit.wait()
        if self._fault("lost request"):
            self.is_open = False
            raise CommitUnknownError("the request was lost")
        try:
            self._store.check(records)
        except CommitUnknownError:
            self.is_open = False
            raise
        self._store.commit(records, progress)
        if self._fault("lost answer"):
            self.is_open = False
            raise CommitUnknownError("the answer was lost")

    async def settle(self, *, attempted: Progress, committed: Progress) -> bool:
        """Compare, unless evicted."""
        if self._fault("evicted"):
            raise PartitionLostError
        await self.close()
        return was_committed(await self.open(), attempted=attempted, committed=committed)

    async def close(self) -> None:
        """Close."""
        self.is_open = False

    def _fault(self, fault: Fault) -> bool:
        if self._faults and self._faults[0] == fault:
            self._faults.popleft()
            return True
        return False
