"""Three incidents: what breaks, and how it is mended."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from testing.feed import Upload
from testing.image_host import ImageHost
from testing.observed import ENGINE, Observed, by_url

PACE = 25.0
# Small enough that a slow store fills it within seconds: of 52 connections one host gets 39.
SETTINGS: Mapping[str, object] = {
    "window": {"max_records": 40, "max_waiting": 40},
    "media": {
        "fetch": {"allow_networks": ["127.0.0.0/8"], "max_connections": 52},
        "decode": {"workers": 1},
    },
}

Act = Callable[[Observed], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """One incident."""

    name: str
    title: str
    breaks: str
    """What is written at the moment when it breaks."""
    mends: str
    break_it: Act
    mend_it: Act
    stage: str = "engine"
    """The one that an operator would choose on the dashboard."""
    settings: Mapping[str, object] = field(default_factory=lambda: dict(SETTINGS))


async def _slow_store(observed: Observed) -> None:
    observed.images.delay_s = 4.0


async def _quick_store(observed: Observed) -> None:
    observed.images.delay_s = 0.0


# What a gateway answers when the service behind it is down; an uploader that does not look publishes it.
GATEWAY_PAGE = b"<html><head><title>502 Bad Gateway</title></head></html>"


async def _flood(observed: Observed) -> None:
    """Let two of three records be no events, three times as many in all."""

    def poisoned(number: int) -> Upload:
        return (b"%d" % number, GATEWAY_PAGE) if number % 3 else by_url(observed.images, number)

    observed.feed.upload, observed.feed.pace = poisoned, 3 * PACE


async def _no_flood(observed: Observed) -> None:
    observed.feed.upload, observed.feed.pace = lambda number: by_url(observed.images, number), PACE


async def _slow_engine(observed: Observed) -> None:
    """Start again on a card that another program uses most of the time: 10 images a second instead of 320."""
    await _restart(observed, {"kind": "rehearsal", "rehearsal": {"batch_size": 16, "batch_s": 1.6}})


async def _quick_engine(observed: Observed) -> None:
    await _restart(observed, ENGINE)


async def _restart(observed: Observed, engine: Mapping[str, object]) -> None:
    (port,) = observed.ports
    observed.kill(port)
    observed.start(port, engine=dict(engine))
    await observed.ready(port)


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        scenario.name: scenario
        for scenario in (
            Scenario("slow-store", "Slow object store", "store slow", "store well", _slow_store, _quick_store, "fetch"),
            Scenario("poison-flood", "Flood of poison events", "flood begins", "flood ends", _flood, _no_flood),
            Scenario("starved-engine", "Starved engine", "card shared", "card free", _slow_engine, _quick_engine),
        )
    }
)


def upload(images: ImageHost, number: int) -> Upload:
    """Return what is uploaded while nothing is broken."""
    return by_url(images, number)
