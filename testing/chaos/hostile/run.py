"""One hostile hour: services, servers that misbehave, good and hostile traffic, and the balance at the end."""

import asyncio
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from aiokafka import AIOKafkaProducer

from service.settings.types import MIB
from testing.chaos.broker import ENVIRONMENT
from testing.chaos.feeder import create_topics, running_producer
from testing.chaos.fleet import Fleet
from testing.chaos.hostile.balance import Balance, HostileCounts, Place, Row
from testing.chaos.hostile.outcomes import read_outcomes
from testing.chaos.hostile.processes import MemoryWatch, ServerProcess, served, sleep_until
from testing.chaos.hostile.servers import good_image
from testing.chaos.hostile.traffic import GOOD_TENANTS, Traffic, Upload
from testing.chaos.options import RunOptions
from testing.house import House
from testing.kafka import free_port
from testing.kafka_cluster import KafkaCluster, running_kafka_cluster
from testing.raw_batches import send_raw
from testing.waiting import wait_until
from testing.zone import serving_names

SERVICES = 2
MODEL_SERVERS = 2
PARTITIONS = 6
DECODERS = 1
# As docs/deploy.md has it: what an idle process holds, the window and one image beyond it; then decoders.
MAIN_LIMIT_BYTES = (254 + 256 + 25) * MIB
ALL_LIMIT_BYTES = MAIN_LIMIT_BYTES + DECODERS * (45 + 1024) * MIB
BEAT_S = 0.1
WATCH_S = 0.5
# Retries of the last hostile records, and what waits behind an outage, are over by then.
SETTLE_S = 300.0
LEAVE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(RunOptions):
    """The run as asked for."""

    brokers: int = 1
    mean_gap_s: float = 45.0
    """Between two planned kills or outages."""
    minutes: float = 60.0
    good_per_s: float = 10.0
    hostile_per_s: float = 4.0


@dataclass(frozen=True, slots=True)
class Report:
    """What happened."""

    options: Options
    acts: Counter[str]
    balance: Balance
    rows: Mapping[str, Row]
    reasons: Counter[str]
    main_bytes: int
    """The most resident memory of a main process."""
    all_bytes: int
    """The same of a main process and all that it started."""
    own_exits: tuple[tuple[str, int], ...]
    """Services that ended although no plan said so."""
    logs: Path

    @property
    def holds(self) -> bool:
        """Whether every record has its one outcome, every good one a verdict, in memory as documented.

        No service may have ended by itself either.
        """
        fits = self.main_bytes <= MAIN_LIMIT_BYTES and self.all_bytes <= ALL_LIMIT_BYTES
        return self.balance.holds and not self.own_exits and fits


async def run(options: Options, on_progress: Callable[[str], None] = lambda _: None) -> Report:
    """Run to the end; nothing that was started is left but the folder of logs."""
    logs = Path(tempfile.mkdtemp(prefix="modstream-hostile-"))
    try:
        with running_kafka_cluster(options.brokers, **ENVIRONMENT) as cluster:
            async with AsyncExitStack() as stack:
                return await (await _hour(options, cluster, stack, logs, on_progress)).run()
    except BaseException:
        shutil.rmtree(logs)
        raise


async def _hour(
    options: Options, cluster: KafkaCluster, stack: AsyncExitStack, logs: Path, on_progress: Callable[[str], None]
) -> "_Hour":
    house = House(cluster, name="hostile")
    topics = [house.uploads, *house.outcomes, f"{house.uploads}.retry.5s"]
    await create_topics(house.bootstrap_servers, topics, PARTITIONS, replicas=options.brokers)
    web, *models = [free_port() for _ in range(1 + MODEL_SERVERS)]
    stack.enter_context(served("web", web, logs / "web.log"))
    servers = [stack.enter_context(served("model", port, logs / f"model-{port}.log")) for port in models]
    config = logs / "modstream.yaml"
    _, name_server = await stack.enter_async_context(serving_names({}))
    config.write_text(yaml.safe_dump(house.settings | settings(models, name_server)), encoding="utf-8")
    producer = await stack.enter_async_context(running_producer(house.bootstrap_servers))
    traffic = Traffic(port=web, image=good_image())
    return _Hour(options, house, traffic, servers, producer, config, logs, on_progress)


def settings(model_ports: list[int], name_server: str) -> dict[str, object]:
    """Return what the services run with: the defaults, but for addresses and a clock that fits a short run."""
    return {
        "engine": {"kind": "openai", "openai": {"base_urls": [f"http://127.0.0.1:{port}" for port in model_ports]}},
        "media": {
            "fetch": {"allow_networks": ["127.0.0.0/8"], "dns_servers": [name_server]},
            "decode": {"workers": DECODERS},
        },
        "retry": {"tiers": ["5s"]},
        "monitoring": {"port": 0, "tenants": list(GOOD_TENANTS)},
    }


@dataclass
class _Hour:
    """The moving parts."""

    options: Options
    house: House
    traffic: Traffic
    servers: list[ServerProcess]
    producer: AIOKafkaProducer
    config: Path
    logs: Path
    on_progress: Callable[[str], None]
    counts: HostileCounts = field(default_factory=HostileCounts)
    memory: MemoryWatch = field(default_factory=MemoryWatch)
    acts: Counter[str] = field(default_factory=Counter)

    async def run(self) -> Report:
        until_s = time.monotonic() + self.options.minutes * 60
        async with asyncio.TaskGroup() as group:
            fleet = Fleet(group, [sys.executable, "-m", "service", "serve", "-c", str(self.config)], self.logs)
            for _ in range(SERVICES):
                fleet.join()
            reading = group.create_task(read_outcomes(self.house, PARTITIONS, self.counts), name="reader")
            watching = group.create_task(self._watch(fleet), name="watch")
            async with asyncio.TaskGroup() as busy:
                busy.create_task(self._feed(self.traffic.good, self.options.good_per_s, until_s), name="good")
                busy.create_task(self._feed(self.traffic.hostile, self.options.hostile_per_s, until_s), name="hostile")
                busy.create_task(self._strike(fleet, until_s), name="nemesis")
            await self._settle()
            watching.cancel()
            late = await fleet.leave(timeout_s=LEAVE_S)
            await asyncio.sleep(2 * WATCH_S)  # what comes twice would come with the last commits
            reading.cancel()
        exits = (*fleet.own_exits, *((name, -9) for name in late))
        return Report(
            options=self.options,
            acts=self.acts,
            balance=self.counts.balance(),
            rows=self.counts.rows(),
            reasons=self.counts.reasons(),
            main_bytes=self.memory.main_bytes,
            all_bytes=self.memory.all_bytes,
            own_exits=exits,
            logs=self.logs,
        )

    async def _feed(self, make: Callable[[int], Upload], per_s: float, until_s: float) -> None:
        number, start = 0, time.monotonic()
        while (now := time.monotonic()) < until_s:
            while number < (now - start) * per_s:
                await self._publish(make(number))
                number += 1
            await asyncio.sleep(BEAT_S)

    async def _publish(self, upload: Upload) -> None:
        at_s = time.monotonic()
        topic = self.house.uploads
        if upload.batch is None:
            sent = await self.producer.send_and_wait(topic, upload.value, headers=list(upload.headers))
            place = Place(sent.partition, sent.offset)
        else:
            partition = len(self.counts.fed) % PARTITIONS
            place = Place(partition, await send_raw(self.house.bootstrap_servers, topic, partition, upload.batch))
        self.counts.feed(place, upload.kind, at_s)

    async def _strike(self, fleet: Fleet, until_s: float) -> None:
        """Kill a service, take the model away, or freeze one of its servers, in a planned order."""
        dice = random.Random(self.options.seed)
        due_s = time.monotonic()
        while (due_s := due_s + dice.uniform(0.5, 1.5) * self.options.mean_gap_s) < until_s:
            await sleep_until(due_s)
            act = dice.choice(("kill -9 of a service", "model away", "model server frozen"))
            self.acts[act] += 1
            if act == "kill -9 of a service":
                dice.choice(fleet.staying).kill()
            elif act == "model away":
                await self._without_model(dice.uniform(0.3, 1.0) * self.options.mean_gap_s)
            else:
                await self._with_a_frozen_server(dice.choice(self.servers), dice.uniform(5.0, 20.0))

    async def _without_model(self, seconds: float) -> None:
        for server in self.servers:
            server.kill()
        await asyncio.sleep(seconds)
        for server in self.servers:
            server.start()

    async def _with_a_frozen_server(self, server: ServerProcess, seconds: float) -> None:
        server.freeze()
        await asyncio.sleep(seconds)
        server.thaw()

    async def _watch(self, fleet: Fleet) -> None:
        while True:
            self.memory.look([seat.pid for seat in fleet.staying if seat.pid is not None])
            fed, open_ = len(self.counts.fed), self.counts.unfinished
            self.on_progress(f"{fed:,} fed, {open_:,} unfinished, {self.acts.total()} planned acts")
            await asyncio.sleep(WATCH_S)

    async def _settle(self) -> None:
        with contextlib.suppress(AssertionError):  # what is unfinished then is the report's to show
            await wait_until(
                lambda: not self.counts.unfinished,
                description="every record has an outcome",
                timeout_s=SETTLE_S,
                every_s=WATCH_S,
            )
