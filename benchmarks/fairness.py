"""What a tenant's good events wait for beside another tenant's bad ones: the whole service on Kafka.

The good tenant publishes 100 events a second, half of them with the image inside, half by the URL of a host that
answers at once. The other tenant is absent, names a host that never answers or one that drips, publishes thousands of
good images at once, or names hosts whose name servers never answer. All of them share one partition. Measured from the
publication of a good event to its verdict, as a reader of committed records sees it.
"""

import asyncio
import base64
import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.contest import Contest, running_contest
from benchmarks.peers.image_server import small_image
from benchmarks.peers.measured import Task
from benchmarks.peers.running import running
from benchmarks.runner import Comparison, Contender, TimedRun
from testing.kafka import free_port
from testing.zone import SILENT, serving_names

GOOD_PER_S = 100
# The service joins its group, and its caches and connections fill.
WARM_UP_S = 8.0
MEASURED_S = 40.0
# For the last verdicts of good events; one that takes longer counts as so long.
PATIENCE_S = 60.0
# Batches of 64 in 20 ms: no record ever waits for the engine.
BATCH_S = 0.02
MAX_SLOWDOWN = 1.5
PERCENTILES = (50, 90, 99)

Neighbour = Callable[[str, int], Sequence[bytes]]
"""Takes the address of the bad host and the second; returns the events that are published in it."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds from publication to verdict."""

    inline_ms: Sequence[float]
    by_url_ms: Sequence[float]

    def percentile_ms(self, percent: int) -> float:
        """Return a percentile of all good events."""
        return statistics.quantiles([*self.inline_ms, *self.by_url_ms], n=100)[percent - 1]

    def inline_percentile_ms(self, percent: int) -> float:
        """Return a percentile of the events with their image inside."""
        return statistics.quantiles(self.inline_ms, n=100)[percent - 1]


def _none(_address: str, _second: int) -> Sequence[bytes]:
    return ()


def _silent(address: str, second: int) -> Sequence[bytes]:
    return [_bad(f"{address}/silent/{number}") for number in range(400 if second == 0 else 0)]


def _dripping(address: str, second: int) -> Sequence[bytes]:
    return [_bad(f"{address}/dripping/{second}-{number}") for number in range(640 if second == 0 else 10)]


def _burst(address: str, second: int) -> Sequence[bytes]:
    return [_bad(f"{address}/{number}") for number in range(3000 if second == 0 else 0)]


def _dead_names(_address: str, second: int) -> Sequence[bytes]:
    return [_bad(f"http://{SILENT}{second}-{number}.example/1.jpg") for number in range(100 if second == 0 else 10)]


NEIGHBOURS: dict[str, Neighbour] = {
    "none": _none,
    "silent host, 400 at once": _silent,
    "dripping host, 640 at once and 10 a second": _dripping,
    "a burst of 3,000 images": _burst,
    "dead names, 10 a second": _dead_names,
}


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare good events alone with good events beside each neighbour, by percentile."""
    with running_contest() as contest, ExitStack() as stack:
        addresses = []
        for _ in ("good", "bad"):
            port = free_port()
            stack.enter_context(running("image_server", str(port)))
            addresses.append(f"http://127.0.0.1:{port}")
        measured: dict[str, Latencies] = {}
        runs = {name: _run(contest, addresses, name, measured) for name in NEIGHBOURS}
        yield (
            *(_comparison(f"p{percent} of good events", runs, percent, inline=False) for percent in PERCENTILES),
            _comparison("p99 of good inline images", runs, 99, inline=True),
        )


def _comparison(title: str, runs: dict[str, Callable[[], Latencies]], percent: int, *, inline: bool) -> Comparison:
    def contender(name: str) -> Contender:
        def run() -> TimedRun:
            latencies = runs[name]()
            value_ms = latencies.inline_percentile_ms(percent) if inline else latencies.percentile_ms(percent)
            return TimedRun(value_ms, seconds=1.0)

        return Contender(name, run)

    return Comparison(
        title,
        tuple(contender(name) for name in runs),
        unit="ms",
        most_ratio=MAX_SLOWDOWN if percent == PERCENTILES[-1] else None,
        rounds=1,
        warm_ups=0,
    )


def _run(
    contest: Contest, addresses: Sequence[str], name: str, measured: dict[str, Latencies]
) -> Callable[[], Latencies]:
    """Return what measures once, and afterwards only remembers: one run gives all percentiles."""

    def run() -> Latencies:
        if name not in measured:
            measured[name] = asyncio.run(_measure(contest, addresses, NEIGHBOURS[name]))
        return measured[name]

    return run


async def _measure(contest: Contest, addresses: Sequence[str], neighbour: Neighbour) -> Latencies:
    good, bad = addresses
    task = await contest.open_task(records=10**9)
    feed = Feed(task, good)
    async with serving_names({}) as (_, name_server):
        with running("modstream_service", task.as_argument(), str(BATCH_S), "", name_server):
            reading = asyncio.create_task(feed.read_verdicts(), name="verdicts")
            try:
                async with AIOKafkaProducer(bootstrap_servers=task.address) as producer:
                    await feed.publish(producer, WARM_UP_S, lambda _: ())
                    await feed.begin()
                    await feed.publish(producer, MEASURED_S, lambda second: neighbour(bad, second))
                await feed.all_answered()
            finally:
                reading.cancel()
                await asyncio.wait([reading])
    return feed.latencies()


class Feed:
    """Publishes good events at their pace and notes when their verdicts come."""

    def __init__(self, task: Task, good_host: str) -> None:
        self._task = task
        self._host = good_host
        self._inline = base64.b64encode(small_image()).decode()
        self._published: dict[str, float] = {}
        self._took_s: dict[str, float] = {}
        self._answered = asyncio.Event()
        self._number = 0
        self._first = 0

    async def publish(
        self, producer: AIOKafkaProducer, seconds: float, beside: Callable[[int], Sequence[bytes]]
    ) -> None:
        """Publish good events one by one, and the neighbour's at the beginning of each second."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for step in range(round(seconds * GOOD_PER_S)):
            if step % GOOD_PER_S == 0:
                for value in beside(step // GOOD_PER_S):
                    await producer.send(self._task.source, value)
            await asyncio.sleep(max(began_s + step / GOOD_PER_S - loop.time(), 0))
            await self._publish_one(producer)

    async def begin(self) -> None:
        """Forget the events up to now, once they are answered."""
        await self.all_answered()
        self._first = self._number

    async def all_answered(self) -> None:
        """Wait for the verdicts of all events, as long as that is worth it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while len(self._took_s) < len(self._published):
                    self._answered.clear()
                    await self._answered.wait()

    async def read_verdicts(self) -> None:
        """Note when verdicts come, until cancelled."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self._task.address, isolation_level="read_committed")
        async with consumer:
            place = TopicPartition(self._task.target, 0)
            consumer.assign([place])
            consumer.seek(place, 0)
            async for record in consumer:
                image_id = orjson.loads(record.value)["image_id"]
                if image_id in self._published:
                    self._took_s[image_id] = time.perf_counter() - self._published[image_id]
                    self._answered.set()

    def latencies(self) -> Latencies:
        """Return what the measured events took; one without a verdict counts with all of the patience."""
        took_ms = [self._took_s.get(str(number), PATIENCE_S) * 1000 for number in range(self._first, self._number)]
        return Latencies(inline_ms=took_ms[::2], by_url_ms=took_ms[1::2])

    async def _publish_one(self, producer: AIOKafkaProducer) -> None:
        image_id = str(self._number)
        by_url = {"url": f"{self._host}/{image_id}"}
        image = by_url if self._number % 2 else {"inline": self._inline, "media_type": "image/jpeg"}
        self._number += 1
        self._published[image_id] = time.perf_counter()
        await producer.send(self._task.source, orjson.dumps({"image_id": image_id, "tenant": "good", "image": image}))


def _bad(url: str) -> bytes:
    return orjson.dumps({"image_id": "bad", "tenant": "neighbour", "image": {"url": url}})
