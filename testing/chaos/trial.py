"""One chaos run: brokers, workers, feeder, nemesis and reader together, and the balance at the end."""

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiokafka import TopicPartition

from service.settings.delivery import CommitSettings, RetrySettings, TopicSettings
from service.settings.kafka import KafkaSettings
from service.settings.monitoring import MonitoringSettings
from service.settings.settings import Settings, ShutdownSettings
from testing.chaos.broker import ENVIRONMENT, Bouncer, rebalances
from testing.chaos.feeder import Feeder, create_topics, running_producer
from testing.chaos.fleet import Fleet, command
from testing.chaos.nemesis import MIN_WORKERS, Act, Nemesis, plan
from testing.chaos.options import RunOptions
from testing.chaos.outcome_counts import Balance, OutcomeCounts
from testing.chaos.reader import Reader, end_offsets
from testing.kafka_cluster import KafkaCluster, running_kafka_cluster
from testing.waiting import wait_until

TOPICS = TopicSettings()
WATCHED = (TOPICS.uploads, TOPICS.verdicts, TOPICS.tags, TOPICS.dead_letters)
GROUP = "chaos"
# What stands in the topic before the first worker starts, so that the window is deep from the first moment.
BACKLOG_SHARE = 0.2
WATCH_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(RunOptions):
    """The run as asked for."""

    records: int = 100_000
    partitions: int = 8
    records_per_s: int = 300
    """Pace of the feeder; it decides how long the run takes."""
    patience_s: float = 90.0
    """A run in which no record is finished for so long has failed."""
    worker: str = "modstream"
    """`plain` shows that the harness sees duplicates."""

    @property
    def feed_s(self) -> float:
        """How long the feeder takes if nothing holds it up."""
        return self.records * (1 - BACKLOG_SHARE) / self.records_per_s


@dataclass(frozen=True, slots=True)
class Report:
    """What happened and what it did to the records."""

    options: Options
    seconds: float
    acts: Counter[Act]
    rebalances: int
    longest_silence_s: float
    """The longest time in which no record was finished."""
    own_exits: tuple[tuple[str, int], ...]
    """Workers that ended by themselves, and their exit codes."""
    killed_at_end: tuple[str, ...]
    """Workers that did not end in time after SIGTERM."""
    stuck: bool
    """No progress for `patience_s`, or a transaction that stayed open."""
    balance: Balance
    logs: Path
    """The logs of the workers and of the brokers."""

    @property
    def holds(self) -> bool:
        """Whether the promise was kept."""
        return self.balance.holds and not self.stuck


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands."""

    finished: int
    acts: Counter[Act]
    workers: int


def settings_for(address: str) -> Settings:
    """Return settings with timeouts short enough for many misfortunes in a short time."""
    return Settings(
        kafka=KafkaSettings(
            bootstrap_servers=address,
            group_id=GROUP,
            request_timeout_s=8.0,
            session_timeout_s=3.0,
            heartbeat_interval_s=0.5,
            rebalance_timeout_s=8.0,
        ),
        commit=CommitSettings(timeout_s=5.0, transaction_timeout_s=10.0),
        retry=RetrySettings(initial_backoff_s=0.05),
        shutdown=ShutdownSettings(drain_s=8.0),
        monitoring=MonitoringSettings(port=0),
    )


async def run_trial(options: Options, on_progress: Callable[[Progress], None] = lambda _: None) -> Report:
    """Run to the end, to a standstill, or to cancellation; nothing that was started is left."""
    with running_kafka_cluster(options.brokers, **ENVIRONMENT) as cluster, _kept_if_reported() as logs:
        await create_topics(cluster.bootstrap_servers, WATCHED, options.partitions, replicas=options.brokers)
        async with running_producer(cluster.bootstrap_servers) as producer, asyncio.TaskGroup() as group:
            feeder = Feeder(producer, TOPICS.uploads, options.partitions)
            trial = _Trial(
                options=options, cluster=cluster, feeder=feeder, group=group, logs=logs, on_progress=on_progress
            )
            return await trial.run()


@contextmanager
def _kept_if_reported() -> Iterator[Path]:
    """Provide a folder for logs; who gets the report decides what becomes of it."""
    folder = Path(tempfile.mkdtemp(prefix="modstream-chaos-"))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder)
        raise


class _Trial:
    """The moving parts of one run."""

    def __init__(
        self,
        options: Options,
        cluster: KafkaCluster,
        feeder: Feeder,
        *,
        group: asyncio.TaskGroup,
        logs: Path,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._options = options
        self._cluster = cluster
        self._feeder = feeder
        self._group = group
        self._on_progress = on_progress
        self._settings = settings_for(cluster.bootstrap_servers)
        self._logs = logs
        self._fleet = Fleet(
            group, command(options.worker, self._settings.model_dump_json(exclude_defaults=True)), self._logs
        )
        steps = plan(options.seed, duration_s=options.feed_s, mean_gap_s=options.mean_gap_s)
        self._counts = OutcomeCounts(TOPICS)
        self._bouncer = Bouncer(cluster, self._counts)
        self._nemesis = Nemesis(
            steps, fleet=self._fleet, bouncer=self._bouncer, session_timeout_s=self._settings.kafka.session_timeout_s
        )
        self._reader = Reader(cluster.bootstrap_servers, WATCHED, options.partitions, self._counts)
        self._longest_silence_s = 0.0

    async def run(self) -> Report:
        backlog = int(self._options.records * BACKLOG_SHARE)
        reading = self._group.create_task(self._reader.run(), name="reader")
        await self._feeder.feed_at_once(range(backlog))
        for _ in range(MIN_WORKERS):
            self._fleet.join()
        start = time.monotonic()
        nemesis = self._group.create_task(self._strike_once_under_way(), name="nemesis")
        rest = range(backlog, self._options.records)
        feeding = self._group.create_task(
            self._feeder.feed(rest, per_second=self._options.records_per_s), name="feeder"
        )
        progressed = await self._watch(nemesis, feeding)
        seconds = time.monotonic() - start
        late = await self._stop(nemesis, feeding)
        settled = await self._settle()
        reading.cancel()
        return self._report(seconds, tuple(late), stuck=not (progressed and settled))

    async def _strike_once_under_way(self) -> None:
        await wait_until(lambda: self._counts.finished > 0, description="the first record is finished", timeout_s=60.0)
        await self._nemesis.run()

    async def _watch(self, *helpers: asyncio.Task[None]) -> bool:
        """Wait until everything is finished; return False when nothing moves any more."""
        finished, since = -1, time.monotonic()
        while finished < self._options.records or not all(task.done() for task in helpers):
            await asyncio.sleep(WATCH_S)
            now = time.monotonic()
            if self._counts.finished != finished:
                finished, since = self._counts.finished, now
                self._on_progress(Progress(finished, self._nemesis.done, len(self._fleet.staying)))
            elif finished < self._counts.inputs:
                self._longest_silence_s = max(self._longest_silence_s, now - since)
            if now - since > self._options.patience_s:
                return False
        return True

    async def _stop(self, *helpers: asyncio.Task[None]) -> list[str]:
        """End the helpers, which a stuck run leaves behind, and then the workers."""
        for task in helpers:
            task.cancel()
        await asyncio.wait(helpers)
        await self._bouncer.wait_until_whole()
        for seat in self._fleet.staying:
            seat.resume()
        return await self._fleet.leave(timeout_s=self._settings.shutdown.drain_s + 5.0)

    async def _settle(self) -> bool:
        """Let the reader come to the very end, so that late duplicates count; False if a transaction stays open."""
        places = [TopicPartition(topic, number) for topic in WATCHED for number in range(self._options.partitions)]
        ends = await end_offsets(self._cluster.bootstrap_servers, places)
        deadline = time.monotonic() + self._settings.commit.transaction_timeout_s + 15.0
        while not await self._reader.reaches(ends):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(WATCH_S)
        return True

    def _report(self, seconds: float, killed_at_end: tuple[str, ...], *, stuck: bool) -> Report:
        # Whether a broken promise is a broker's fault can only be read here, and the brokers are removed next.
        broker_logs = [node.logs() for node in self._cluster.nodes]
        for number, log in enumerate(broker_logs, start=1):
            (self._logs / f"broker-{number}.log").write_text(log, encoding="utf-8")
        return Report(
            options=self._options,
            seconds=seconds,
            acts=self._nemesis.done,
            rebalances=sum(rebalances(log, GROUP) for log in broker_logs),
            longest_silence_s=self._longest_silence_s,
            own_exits=tuple(self._fleet.own_exits),
            killed_at_end=killed_at_end,
            stuck=stuck,
            balance=self._counts.balance(range(self._options.records)),
            logs=self._logs,
        )
