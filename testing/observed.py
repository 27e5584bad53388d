"""The service as an operator has it: Kafka, uploads that keep coming, an image host, Prometheus with the rules."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import orjson

from testing.feed import Feed, Upload, feeding
from testing.house import House
from testing.image_host import ImageHost, hosting_images
from testing.kafka import free_port, running_kafka
from testing.prometheus import Clock, Prometheus, running_prometheus
from testing.service import ServiceProcess, running_service
from testing.topics import create_topics
from testing.waiting import wait_until

RULES = Path(__file__).parents[1] / "deploy/prometheus/rules.yaml"

# Twenty times as fast: an alert that waits ten minutes comes after half a minute.
FASTER = Clock(20.0)
RETRY_TIER = "5s"
MACHINE_PRICE = 2.5
# A batch of 16 in 50 ms: up to 320 images a second, more than anything else here.
ENGINE: Mapping[str, object] = {"kind": "rehearsal", "rehearsal": {"batch_size": 16, "batch_s": 0.05}}


@dataclass
class Observed:
    """What stands, and what may be done to it."""

    prometheus: Prometheus
    images: ImageHost
    feed: Feed
    settings: Mapping[str, object]
    folder: Path
    ports: Sequence[int]
    began_at_s: float = field(default_factory=time.time)
    _running: dict[int, tuple[ServiceProcess, ExitStack]] = field(default_factory=dict)

    def start(self, port: int, **changes: object) -> ServiceProcess:
        """Start a process with its endpoint at this port, and other settings if they are given."""
        monitoring = {"port": port, "machine_price": MACHINE_PRICE, "tenants": ["acme"]}
        stack = ExitStack()
        settings = dict(self.settings) | {"monitoring": monitoring} | changes
        service = stack.enter_context(running_service(self.folder, settings))
        self._running[port] = (service, stack)
        return service

    def kill(self, port: int) -> None:
        """End a process as a lost machine would."""
        self._running.pop(port)[1].close()

    def kill_all(self) -> None:
        """End all of them."""
        for port in list(self._running):
            self.kill(port)

    async def ready(self, port: int) -> None:
        """Wait until a process takes its share, as Prometheus sees it."""
        expr = f'modstream_ready{{instance="127.0.0.1:{port}"}} == 1'
        await wait_until(
            lambda: self._is_true(expr), description=f"{port} is ready:\n{self._running[port][0].log()}", timeout_s=60
        )

    async def until(self, expr: str, *, timeout_s: float = 60.0) -> None:
        """Wait until an expression has a value."""
        await wait_until(lambda: self._is_true(expr), description=expr, timeout_s=timeout_s, every_s=0.25)

    async def _is_true(self, expr: str) -> bool:
        return bool(await self.prometheus.now(expr))


@asynccontextmanager
async def observing(
    folder: Path,
    *,
    upload: Callable[[ImageHost, int], Upload],
    pace: float,
    processes: int = 1,
    partitions: int = 4,
    clock: Clock = FASTER,
    settings: Mapping[str, object] = MappingProxyType({}),
) -> AsyncIterator[Observed]:
    """Let everything stand but the service, whose processes are started one by one."""
    ports = [free_port() for _ in range(processes)]
    async with AsyncExitStack() as stack:
        broker = stack.enter_context(running_kafka())
        house = House(broker, name="images")
        await house.build(partitions=partitions)
        await create_topics(house.bootstrap_servers, [f"{house.uploads}.retry.{RETRY_TIER}"], partitions=1)
        images = await stack.enter_async_context(hosting_images())
        rules = clock.rules(RULES.read_text())
        prometheus = stack.enter_context(running_prometheus(folder, ports, rules=rules))
        await wait_until(prometheus.is_ready, description="Prometheus is ready")
        feed = Feed(lambda number: upload(images, number), pace=pace)
        await stack.enter_async_context(feeding(feed, house.bootstrap_servers, house.uploads))
        observed = Observed(prometheus, images, feed, house.settings | _defaults() | dict(settings), folder, ports)
        stack.callback(observed.kill_all)
        yield observed


def _defaults() -> dict[str, object]:
    return {
        "engine": ENGINE,
        "media": {"fetch": {"allow_networks": ["127.0.0.0/8"]}, "decode": {"workers": 1}},
        "retry": {"max_attempts": 2, "initial_backoff_s": 0.05, "tiers": [RETRY_TIER]},
    }


def by_url(images: ImageHost, number: int, *, path: str = "ok", tenant: str = "acme") -> Upload:
    """Return an upload whose image lies at the host."""
    event = {"image_id": f"{number}", "image": {"url": f"{images.url}/{path}/{number}.jpg"}, "tenant": tenant}
    return f"{number}".encode(), orjson.dumps(event)
