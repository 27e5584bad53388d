"""Contestants in processes of their own against one broker: the same records in, and every outcome counted."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.peers.measured import MAX_HANDLER_S, Task, numbered
from benchmarks.peers.running import running
from benchmarks.runner import UnavailableError
from service.settings.delivery import TopicSettings
from testing.kafka import running_kafka
from testing.prerequisites import missing_docker

ROOT = Path(__file__).parents[1]
# Of one batch when a topic is filled.
BATCH_BYTES = 256 * 1024
# A contestant that takes longer hangs: the longest run takes two minutes, and an engine of its own two more to start on
# a busy machine.
TIME_LIMIT_S = 600


Value = Callable[[int], bytes]
"""The value of the record of that number."""


def numbered_from(first: int, value: Value) -> Value:
    """Return the values of later numbers: a run that must find nothing of earlier ones in any cache takes new ones."""

    def later(number: int) -> bytes:
        return value(first + number)

    later.__name__ = f"{value.__name__}-from-{first}"
    return later


@dataclass(frozen=True, slots=True)
class Result:
    """What a contestant says of its run; `Contest.run` has checked that every outcome is there, once."""

    seconds: float
    cpu_s: float
    peak_mib: float
    """Highest resident memory of its process."""


class Contest:
    """A broker with filled topics, and runs against it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._runs = count(1)
        self._filled: set[str] = set()

    def run(
        self,
        module: str,
        *arguments: str,
        records: int,
        value: Value = numbered,
        handler_s: float = MAX_HANDLER_S,
        backlog: int | None = None,
        python: Path | None = None,
    ) -> Result:
        """Let a contestant turn that many records into outcomes; with a backlog it finds more than it is to take."""
        task = replace(self._task(self._backlog(backlog or records, value), records), handler_s=handler_s)
        return self._compete(self._command(module, task, arguments, python), task, stops_early=backlog is not None)

    def run_fed(self, module: str, *arguments: str, records: int, backlog: int, feed: str = "") -> Result:
        """The same with a backlog that is never larger than that: more comes when what was there is done.

        `feed` is the address of photographs that the records name; they hold their numbers when it is empty.
        """
        source = f"fed-{next(self._runs)}"
        asyncio.run(_create_topics(self._address, [source]))
        task = self._task(source, records)
        with running("feeder", task.as_argument(), str(backlog), feed):
            return self._compete(self._command(module, task, arguments), task)

    def run_here(self, work: Callable[[Task], None], *, records: int, value: Value) -> None:
        """The same for work that is done in this process, because what it needs takes long to start."""
        task = self.prepare(records, value)
        work(task)
        self._check(task, "the work")

    def prepare(self, records: int, value: Value) -> Task:
        """Return a task whose records wait and whose outcomes have a topic."""
        task = self._task(self._backlog(records, value), records)
        asyncio.run(_create_topics(self._address, [task.target]))
        return task

    async def open_task(self, *, records: int, partitions: int = 1) -> Task:
        """Return a task with an empty topic, for records that come while it is worked on."""
        source = f"open-{next(self._runs)}"
        task = self._task(source, records)
        await _create_topics(self._address, [source], partitions)
        await _create_topics(self._address, [task.target])
        return task

    def _task(self, source: str, records: int) -> Task:
        run = next(self._runs)
        return Task(self._address, group_id=f"run-{run}", source=source, target=f"outcomes-{run}", records=records)

    def _command(self, module: str, task: Task, arguments: Sequence[str], python: Path | None = None) -> Sequence[str]:
        return [str(python or sys.executable), "-m", module, task.as_argument(), *arguments]

    def _compete(self, command: Sequence[str], task: Task, *, stops_early: bool = False) -> Result:
        asyncio.run(_create_topics(self._address, [task.target]))
        finished = subprocess.run(  # noqa: S603 - contestants are modules of this package
            command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=TIME_LIMIT_S
        )
        self._check(task, command[2], stops_early=stops_early)
        return Result(**json.loads(finished.stdout))

    def _check(self, task: Task, name: str, *, stops_early: bool = False) -> None:
        outcomes = asyncio.run(_committed_records(self._address, task.target))
        if outcomes < task.records or (outcomes > task.records and not stops_early):
            raise RuntimeError(f"{name} published {outcomes} outcomes for {task.records} records")

    def _backlog(self, records: int, value: Value) -> str:
        topic = f"{getattr(value, '__name__', 'photographs')}-{records}"
        if topic not in self._filled:
            asyncio.run(_create_topics(self._address, [topic]))
            asyncio.run(_fill(self._address, topic, records, value))
            self._filled.add(topic)
        return topic


@contextmanager
def running_contest() -> Iterator[Contest]:
    """Start a broker with what every contestant needs; raises `UnavailableError` without Docker."""
    if (reason := missing_docker()) is not None:
        raise UnavailableError(reason)
    # With Java's usual compiler and collector: tests make do with less.
    with running_kafka(KAFKA_JVM_PERFORMANCE_OPTS="") as broker:
        defaults = TopicSettings()
        # The service checks at start that all its topics exist; the contests use other ones.
        asyncio.run(_create_topics(broker.bootstrap_servers, [defaults.tags, defaults.dead_letters, defaults.shadow]))
        yield Contest(broker.bootstrap_servers)


async def _create_topics(address: str, topics: Sequence[str], partitions: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics(
            [NewTopic(topic, num_partitions=partitions, replication_factor=1) for topic in topics]
        )
    finally:
        await admin.close()


async def _fill(address: str, topic: str, records: int, value: Value) -> None:
    async with AIOKafkaProducer(bootstrap_servers=address, max_batch_size=BATCH_BYTES) as producer:
        batch = producer.create_batch()
        for number in range(records):
            # Returns nothing when the batch is full.
            while batch.append(key=b"%08d" % number, value=value(number), timestamp=None) is None:
                await (await producer.send_batch(batch, topic, partition=0))
                batch = producer.create_batch()
        await (await producer.send_batch(batch, topic, partition=0))


async def _committed_records(address: str, topic: str) -> int:
    place = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=address, isolation_level="read_committed")
    async with consumer:
        consumer.assign([place])
        consumer.seek(place, 0)
        end = (await consumer.end_offsets([place]))[place]
        records = 0
        while await consumer.position(place) < end:
            records += sum(len(batch) for batch in (await consumer.getmany(place, timeout_ms=200)).values())
    return records
