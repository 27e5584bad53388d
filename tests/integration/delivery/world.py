"""The topics of one test, the processes that work on them, and what a consumer downstream sees."""

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Literal
from uuid import uuid4

import orjson
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from service.delivery.offsets import Progress
from service.delivery.processor import Processor
from service.delivery.required_topics import required_topics
from service.events.raw_event import tenant_of
from service.kafka.connection import KafkaConnection
from service.kafka.topics import ensure_topics
from service.settings.delivery import CommitSettings, RetrySettings, TopicSettings
from service.settings.kafka import KafkaSettings
from service.settings.monitoring import MonitoringSettings
from service.settings.settings import Settings
from testing.stream_worker import ObedientHandler
from testing.topics import CommittedReader, committed_reader, publish

PARTITIONS = 2
Orders = Mapping[str, object]


class Worker:
    """A process of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    async def end(self, *, timeout_s: float = 30.0) -> int:
        """Wait for its end and return its exit status."""
        return await asyncio.to_thread(self._process.wait, timeout_s)


class World:
    """One test's topics."""

    def __init__(self, settings: Settings, reader: CommittedReader, folder: Path) -> None:
        self.settings = settings
        self.reader = reader
        self._folder = folder
        self._published = 0

    @classmethod
    @asynccontextmanager
    async def build(
        cls,
        bootstrap_servers: str,
        folder: Path,
        *,
        delivery: Literal["exactly_once", "at_least_once"] = "exactly_once",
        tiers: tuple[str, ...] = (),
    ) -> AsyncIterator["World"]:
        """Create topics, and watch what is committed to them."""
        name = uuid4().hex[:8]
        settings = Settings(
            delivery=delivery,
            kafka=KafkaSettings(
                bootstrap_servers=bootstrap_servers,
                group_id=name,
                session_timeout_s=3.0,
                heartbeat_interval_s=0.5,
                rebalance_timeout_s=8.0,
                request_timeout_s=8.0,
            ),
            topics=TopicSettings(
                uploads=f"{name}.uploads",
                verdicts=f"{name}.verdicts",
                tags=f"{name}.tags",
                dead_letters=f"{name}.dead",
            ),
            commit=CommitSettings(timeout_s=5.0, transaction_timeout_s=10.0),
            retry=RetrySettings(max_attempts=2, initial_backoff_s=0.01, tiers=tiers),
            monitoring=MonitoringSettings(port=0),
        )
        topics = settings.topics
        await ensure_topics(KafkaConnection(settings.kafka), required_topics(settings), partitions=PARTITIONS)
        outcomes = [topics.verdicts, topics.tags, topics.dead_letters]
        async with committed_reader(bootstrap_servers, outcomes) as reader:
            yield cls(settings, reader, folder)

    @property
    def gate(self) -> Path:
        """The file that lets records with `self.waiting` go on."""
        return self._folder / "gate"

    @property
    def waiting(self) -> Orders:
        """Orders to wait for the gate."""
        return {"gate": str(self.gate)}

    async def publish(self, orders: Sequence[Orders]) -> None:
        """Publish records; their keys are numbers that count on."""
        records = [(b"%d" % (self._published + n), orjson.dumps(order), ()) for n, order in enumerate(orders)]
        self._published += len(records)
        await publish(self.settings.kafka.bootstrap_servers, self.settings.topics.uploads, records)

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        """Run the processor in a process of its own, which is killed at the end if it still runs."""
        command = [sys.executable, "-m", "testing.stream_worker", self.settings.model_dump_json()]
        log = (self._folder / f"worker-{uuid4().hex[:4]}.log").open("wb")
        with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                yield Worker(process)
            finally:
                process.kill()

    @asynccontextmanager
    async def processor(self, settings: Settings | None = None) -> AsyncIterator[ObedientHandler]:
        """Run the processor here, and drain it at the end."""
        handler = ObedientHandler(self.settings.topics.verdicts)
        processor = Processor(settings or self.settings, handler, tenant_of=tenant_of)
        run = asyncio.create_task(processor.run())
        try:
            yield handler
        finally:
            processor.drain()
            await run

    async def outcomes(self, count: int) -> None:
        """Wait until so many outcomes are committed."""
        await self.reader.until(count)

    async def every_record_has_one_outcome(self) -> None:
        """Check that nothing is lost and nothing doubled, now or a little later."""
        await self.reader.until(self._published)
        await self.reader.linger(quiet_s=1.0)
        seen = Counter(int(record.key) for record in self.reader.records)
        assert seen == Counter(range(self._published))

    def judged_by(self, worker: Worker) -> list[int]:
        """Return the numbers of the records whose verdict comes from a worker."""
        return sorted(int(record.key) for record in self.reader.records if record.value == b"%d" % worker.pid)

    async def stored(self, partition: int) -> Progress:
        """Return what the group has stored for a partition of the uploads."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka.bootstrap_servers)
        await admin.start()
        try:
            place = TopicPartition(self.settings.topics.uploads, partition)
            stored = await admin.list_consumer_group_offsets(self.settings.kafka.group_id, partitions=[place])
        finally:
            await admin.close()
        return Progress.decode(stored[place].offset, stored[place].metadata)
