"""The endpoint over real HTTP."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError
from urllib.request import urlopen

import aiohttp
import pytest

from service.monitoring.health import Checks
from service.monitoring.monitor import monitoring
from service.monitoring.server import AddressUnusableError, Endpoint, PortTakenError
from service.runtime.nvml import Gpus
from service.settings.monitoring import MonitoringSettings
from service.settings.settings import Settings
from testing.kafka import free_port
from testing.metrics import parsed
from tests.unit.monitoring.parts import sources
from tests.unit.runtime.fake_nvml import FakeNvml


class State:
    """What the endpoint reads."""

    ready = True
    scrapes = 0
    may_scrape = threading.Event()

    def check(self) -> Checks:
        return Checks(assigned=True, engine=True, broker=self.ready, draining=False)

    def scrape(self) -> bytes:
        self.scrapes += 1
        self.may_scrape.wait(10)
        return b"up 1\n"


@pytest.fixture
async def state() -> State:
    fresh = State()
    fresh.may_scrape.set()
    return fresh


@pytest.fixture
async def url(state: State) -> AsyncIterator[str]:
    settings = MonitoringSettings(port=free_port())
    endpoint = Endpoint(scrape=state.scrape, check=state.check, summary=lambda: {"status": "ok"})
    async with endpoint.open(settings):
        yield f"http://127.0.0.1:{settings.port}"


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def test_readiness_is_a_status_that_orchestrators_understand(url: str, state: State) -> None:
    assert (await get(f"{url}/health/ready"))[0] == 200
    state.ready = False
    status, body = await get(f"{url}/health/ready")
    assert status == 503
    assert '"broker":false' in body


async def test_people_and_prometheus_get_theirs(url: str) -> None:
    assert await get(f"{url}/health") == (200, '{"status":"ok"}')
    assert await get(f"{url}/metrics") == (200, "up 1\n")
    assert (await get(f"{url}/nothing"))[0] == 404


async def test_liveness_does_not_wait_for_a_slow_scrape(url: str, state: State) -> None:
    state.may_scrape.clear()
    scraping = asyncio.create_task(get(f"{url}/metrics"))
    assert (await get(f"{url}/health/live"))[0] == 200
    assert not scraping.done()
    state.may_scrape.set()
    await scraping


async def test_an_event_loop_that_hangs_is_not_alive(url: str) -> None:
    def alive() -> bool:
        try:
            with urlopen(f"{url}/health/live", timeout=0.3) as answer:  # noqa: S310 - our own endpoint
                return bool(answer.status == 200)
        except (TimeoutError, HTTPError):
            return False

    with ThreadPoolExecutor(1) as elsewhere:
        assert await asyncio.wrap_future(elsewhere.submit(alive))
        asked = elsewhere.submit(alive)
        while not asked.done():
            time.sleep(0.01)  # noqa: ASYNC251 - the loop is to hang
        assert not asked.result()


async def test_a_port_that_is_taken_is_a_fatal_error_that_names_the_setting(url: str) -> None:
    settings = MonitoringSettings(port=int(url.rpartition(":")[2]))
    with pytest.raises(PortTakenError, match=r"monitoring\.port"):
        async with Endpoint(scrape=bytes, check=State().check, summary=dict).open(settings):
            pytest.fail("it listens")


async def test_an_address_that_is_not_here_is_a_fatal_error_that_names_the_setting() -> None:
    settings = MonitoringSettings(host="192.0.2.1", port=free_port())
    with pytest.raises(AddressUnusableError, match=r"monitoring\.host"):
        async with Endpoint(scrape=bytes, check=State().check, summary=dict).open(settings):
            pytest.fail("it listens")


@pytest.fixture
async def monitored() -> AsyncIterator[str]:
    settings = Settings(monitoring=MonitoringSettings(port=free_port()))
    gpus = Gpus(nvml=FakeNvml, environment={})
    async with monitoring(settings, gpus, version="1.2.3") as reported:
        given = sources()
        reported.engine, reported.description, reported.decoder, reported.processor = (
            given.engine,
            given.description,
            given.decoder,
            given.processor,
        )
        yield f"http://127.0.0.1:{settings.monitoring.port}"


async def test_counters_that_are_known_beforehand_start_at_0(monitored: str) -> None:
    scrape = parsed((await get(f"{monitored}/metrics"))[1])
    assert scrape.of("modstream_records_total", outcome="judged")[0].value == 0
    assert scrape.of("modstream_records_total", outcome="dead_lettered", reason="image.corrupt")[0].value == 0
    assert scrape.of("modstream_fetch_io_bytes_total", scheme="s3")[0].value == 0
    assert scrape.of("modstream_decode_crashes_total", reason="image.decode_memory")[0].value == 0
    assert scrape.of("modstream_engine_tokens_total") == []


async def test_scrapes_at_the_same_time_are_all_whole(monitored: str) -> None:
    bodies = await asyncio.gather(*(get(f"{monitored}/metrics") for _ in range(5)))
    assert all(body.count("\nmodstream_in_flight ") == 1 for _, body in bodies)


async def test_people_see_the_gpus_memory(monitored: str) -> None:
    _, body = await get(f"{monitored}/health")
    assert f'"gpu_memory_used":{10 * 2**30},"gpu_memory_total":{80 * 2**30},"gpu_absence":null' in body
