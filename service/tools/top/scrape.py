"""The metrics of one process at one moment, read from its endpoint and parsed."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import urlsplit

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

# A process that is too busy to answer within this is shown as such, and the screen goes on.
TIMEOUT_S = 5.0
# A process with thousands of partitions has less than a tenth of this; more is no metrics endpoint.
MAX_BYTES = 16 * 1024 * 1024

_START_ONE = "start `modstream serve` or `modstream api`, or name a running process by --url"
# The older text format: exemplars, which the newer one adds, are of no use here.
ACCEPT = {"Accept": "text/plain; version=0.0.4"}

Labels = Mapping[str, str]
Clock = Callable[[], float]


class EndpointUnreadableError(Exception):
    """An address returns no metrics at the moment."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series."""

    labels: Labels
    value: float


@dataclass(frozen=True, slots=True)
class Scrape:
    """All values of one process at one moment."""

    at_s: float
    """By a monotonic clock."""
    samples: Mapping[str, tuple[Sample, ...]]
    """By name, as Prometheus spells it."""

    def of(self, name: str) -> tuple[Sample, ...]:
        """Return the series of a metric; empty if nothing was counted yet."""
        return self.samples.get(name, ())


def parse(text: str, *, at_s: float) -> Scrape:
    """Read Prometheus' text format; raises `ValueError` for anything else."""
    found: defaultdict[str, list[Sample]] = defaultdict(list)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name].append(Sample(MappingProxyType(dict(sample.labels)), sample.value))
    return Scrape(at_s, {name: tuple(samples) for name, samples in found.items()})


def metrics_url(address: str) -> str:
    """Return the URL of an endpoint's metrics; `host:9464` is enough."""
    url = address if "://" in address else f"http://{address}"
    return url if urlsplit(url).path.strip("/") else f"{url.rstrip('/')}/metrics"


async def look(session: aiohttp.ClientSession, url: str, *, clock: Clock = time.monotonic) -> Scrape:
    """Scrape the endpoint once; raises `EndpointUnreadableError`."""
    try:
        async with asyncio.timeout(TIMEOUT_S), session.get(url, headers=ACCEPT) as answer:
            answer.raise_for_status()
            return parse(await _text(answer), at_s=clock())
    except TimeoutError:
        raise EndpointUnreadableError(f"no answer within {TIMEOUT_S:g} s") from None
    except aiohttp.ClientResponseError as error:
        raise EndpointUnreadableError(f"status {error.status}") from None
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, ConnectionRefusedError):
            raise EndpointUnreadableError("nothing listens there: " + _START_ONE) from None
        raise EndpointUnreadableError(str(error)) from None
    except (aiohttp.ClientError, ValueError) as error:
        raise EndpointUnreadableError(str(error)) from None


async def _text(answer: aiohttp.ClientResponse) -> str:
    """Return the body, unpacked; raises `EndpointUnreadableError` for one without end before it takes memory."""
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > MAX_BYTES:
            raise EndpointUnreadableError(f"more than {MAX_BYTES:,} bytes: no metrics endpoint")
    return body.decode()
