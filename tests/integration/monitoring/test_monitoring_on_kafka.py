"""Health and metrics of the real service: through its start, work, the loss of the broker, and a drain."""

import io
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio
from PIL import Image

from service.cli.exits import ExitCode
from service.telemetry.instruments import declarations
from testing.house import House, inline
from testing.kafka import KafkaBroker, free_port, running_kafka
from testing.metrics import Scrape, parsed
from testing.service import running_service
from testing.topics import committed_reader, publish
from testing.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(240), pytest.mark.asyncio(loop_scope="module")]

EVENTS = 24
SHOPS = 8

# What a lone process without GPU and language model, in which nothing goes wrong, has nothing to report.
NOT_HERE = {
    "modstream.rebalance.pause": "it never lost a partition",
    "modstream.engine.label_mass": "no language model",
    "modstream.engine.tokens": "no language model",
    "modstream.gpu.memory.used": "no GPU",
    "modstream.gpu.memory.total": "no GPU",
    "modstream.gpu.temperature": "no GPU",
    "modstream.gpu.utilization": "no GPU",
    "modstream.log.dropped": "no line was dropped",
    "modstream.first_pass.images": "no policy has a first pass",
    "modstream.first_pass.duration": "no policy has a first pass",
    "modstream.shadow.decisions": "nothing is on trial",
    "modstream.shadow.left_out": "nothing is on trial",
    "modstream.audits": "no image is audited",
    "modstream.audits.left_out": "no image is audited",
    "modstream.api.requests": "the HTTP API is off",
    "modstream.api.duration": "the HTTP API is off",
    "modstream.api.images": "the HTTP API is off",
    "modstream.api.access_warnings": "the HTTP API is off",
}


@dataclass(frozen=True)
class Health:
    """What the endpoint said at one moment."""

    status: int
    ready: Mapping[str, Any]

    @property
    def checks(self) -> Mapping[str, bool]:
        """The parts of readiness."""
        found: Mapping[str, bool] = self.ready["checks"]
        return found


@dataclass
class Story:
    """What was seen, in this order."""

    first: Health
    scrape: Scrape
    summary: Mapping[str, Any]
    neighbour: tuple[int, str]
    """Exit code and log of a second process with the same port."""
    silent: Health
    silent_is_live: bool
    draining: Health
    exit_code: int


class Monitor:
    """Asks the endpoint of one process."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._base = f"http://127.0.0.1:{port}"

    async def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body; status 0 where nothing listens."""
        try:
            async with self._session.get(self._base + path) as answer:
                return answer.status, await answer.read()
        except aiohttp.ClientConnectionError:
            return 0, b"{}"

    async def health(self) -> Health:
        """Return what readiness says."""
        status, body = await self.get("/health/ready")
        return Health(status, orjson.loads(body))

    async def until(self, status: int) -> Health:
        """Wait for a status of readiness."""
        seen: list[Health] = []

        async def is_there() -> bool:
            seen.append(await self.health())
            return seen[-1].status == status

        await wait_until(is_there, description=f"readiness is {status}", timeout_s=60, every_s=0.1)
        return seen[-1]


def events(count: int) -> list[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    """Return events, one of three from a tenant that has a label."""
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "seagreen").save(file, "PNG")
    image = inline(file.getvalue())
    return [
        (
            b"%d" % number,
            orjson.dumps(
                {"image_id": f"image-{number}", "image": image, "tenant": "shop" if number % 3 == 0 else f"t-{number}"}
            ),
            [],
        )
        for number in range(count)
    ]


def settings_of(house: House, port: int) -> dict[str, object]:
    slow = {"batch_size": 8, "batch_s": 0.5}
    monitoring = {"port": port, "tenants": ["shop"], "machine_price": 2.5}
    return house.settings | {"engine": {"kind": "rehearsal", "rehearsal": slow}, "monitoring": monitoring}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Live through everything once."""
    folder = tmp_path_factory.mktemp("monitoring")
    with running_kafka() as kafka:
        house, port = House(kafka), free_port()
        await house.build()
        settings = settings_of(house, port)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            with running_service(folder, settings) as service:
                monitor = Monitor(session, port)
                first = await monitor.until(503)
                await monitor.until(200)
                scrape, summary = await after_work(house, monitor)
                neighbour = stopped_neighbour(folder, settings)
                silent, is_live = await without_broker(kafka, monitor)
                await publish(house.bootstrap_servers, house.uploads, events(8 * EVENTS))
                await wait_until(lambda: has_work(monitor), description="there is work in flight")
                service.signal(signal.SIGTERM)
                draining = await monitor.until(503)
                return Story(first, scrape, summary, neighbour, silent, is_live, draining, service.wait())


async def after_work(house: House, monitor: Monitor) -> tuple[Scrape, Mapping[str, Any]]:
    records = [*events(EVENTS), (b"bad", b"no event", [])]
    await publish(house.bootstrap_servers, house.uploads, records)
    async with committed_reader(house.bootstrap_servers, house.outcomes) as reader:
        await reader.until(len(records))

    async def is_reported() -> bool:
        scrape = parsed((await monitor.get("/metrics"))[1].decode())
        ends = len(scrape.of("modstream_lag")) == 2
        return ends and scrape.value("modstream_records_total") == len(records) and not scrape.value("modstream_lag")

    await wait_until(is_reported, description="all is counted, and the ends are reported", timeout_s=20, every_s=0.2)
    summary: Mapping[str, Any] = orjson.loads((await monitor.get("/health"))[1])
    return parsed((await monitor.get("/metrics"))[1].decode()), summary


def stopped_neighbour(folder: Path, settings: Mapping[str, object]) -> tuple[int, str]:
    with running_service(folder, settings) as neighbour:
        return neighbour.wait(), neighbour.log()


async def without_broker(kafka: KafkaBroker, monitor: Monitor) -> tuple[Health, bool]:
    kafka.pause()
    try:
        silent = await monitor.until(503)
        status, _ = await monitor.get("/health/live")
    finally:
        kafka.unpause()
    await monitor.until(200)
    return silent, status == 200


async def has_work(monitor: Monitor) -> bool:
    summary = orjson.loads((await monitor.get("/health"))[1])
    return bool(summary["in_flight"])


async def test_a_process_is_not_ready_before_it_can_judge(story: Story) -> None:
    assert not story.first.checks["engine"]
    assert not story.first.checks["assigned"]


async def test_every_instrument_is_in_a_scrape_or_there_is_a_reason(story: Story) -> None:
    names = {declared.name: declared.prometheus_name for declared in declarations()}
    seen = {name for name, exported in names.items() if story.scrape.names & {exported, f"{exported}_count"}}
    assert set(names) - seen - set(NOT_HERE) == set()
    assert seen & set(NOT_HERE) == set()


async def test_what_was_done_is_counted(story: Story) -> None:
    scrape = story.scrape
    assert scrape.value("modstream_records_total", outcome="judged") == EVENTS
    assert scrape.value("modstream_records_total", outcome="dead_lettered", reason="event.not_json") == 1
    assert scrape.value("modstream_upload_age_seconds_count", outcome="judged") == EVENTS
    assert scrape.value("modstream_verdicts_total", tenant="shop", status="not_moderated") == SHOPS
    assert scrape.value("modstream_verdicts_total", tenant="other") == EVENTS - SHOPS
    assert scrape.value("modstream_commit_duration_seconds_count", result="committed") > 0
    assert scrape.value("modstream_partitions") == 2
    assert scrape.value("modstream_ready") == 1
    assert {series.labels["partition"] for series in scrape.of("modstream_lag_committed")} == {"0", "1"}


async def test_people_see_what_the_service_is_doing(story: Story) -> None:
    assert story.summary["status"] == "ok"
    assert (story.summary["partitions"], story.summary["lag"], story.summary["in_flight"]) == (2, 0, 0)
    assert story.summary["engine"] == {"kind": "rehearsal", "model": "rehearsal"}
    assert (story.summary["gpu_memory_total"] is None) == bool(story.summary["gpu_absence"])


async def test_a_second_process_with_the_same_port_ends_with_the_name_of_the_setting(story: Story) -> None:
    exit_code, log = story.neighbour
    assert exit_code == ExitCode.FATAL
    assert '"reason":"monitoring.port_taken"' in log.splitlines()[-1]
    assert "monitoring.port" in log.splitlines()[-1]


async def test_a_lost_broker_ends_readiness_and_not_the_life_of_the_process(story: Story) -> None:
    assert not story.silent.checks["broker"]
    assert story.silent.checks["engine"]
    assert story.silent_is_live


async def test_a_drain_ends_readiness_at_once(story: Story) -> None:
    assert story.draining.checks["draining"]
    assert story.exit_code == ExitCode.OK
