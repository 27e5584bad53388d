"""Two HTTP servers that do the same work: their rates at saturation, and their latencies at the same offered load."""

import asyncio
import statistics
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import TypeVar

import aiohttp

from benchmarks.runner import Comparison, Contender, TimedRun
from testing.http_load import Send, offer, percentile, saturate

LOAD_SHARE = 0.5
"""Of the slower server's rate at saturation, for the latencies of both."""
TIMEOUT_S = 60.0
_MEDIAN, _NINETY_NINTH = 50, 99
_SEED = 1
"""Of the arrivals, so that both servers get the same."""

Result = TypeVar("Result")


class WrongAnswerError(Exception):
    """A server did not do the work, so its time counts for nothing."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and how it is asked about an image file."""

    name: str
    url: str
    body: Callable[[bytes], bytes]
    answer_has: bytes
    """What every right answer contains."""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Duel:
    """Two servers, of which the first is the baseline, and how they are compared."""

    title: str
    servers: tuple[Server, Server]
    files: Callable[[int], Sequence[bytes]]
    """Returns so many image files that neither server has seen."""
    requests: int
    """In a run of one server."""
    connections: int
    """Requests in flight at saturation."""
    rounds: int
    _rates: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list), init=False)
    _latencies_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list), init=False)

    def comparisons(self, *, min_ratio: float) -> Sequence[Comparison]:
        """Compare the rates at saturation, then the latencies at half of the lower rate.

        `min_ratio` is promised of the rates, and its inverse of the median latencies.
        """
        rates = Comparison(
            self.title,
            self._contenders(self._saturated),
            unit="requests/s",
            target_ratio=min_ratio,
            rounds=self.rounds,
        )
        medians = Comparison(
            f"{self.title}: p50 at half of the lower rate",
            self._contenders(self._offered),
            unit="ms",
            most_ratio=1 / min_ratio,
            rounds=self.rounds,
            warm_ups=0,
        )
        tails = Comparison(
            f"{self.title}: p99 of all rounds",
            self._contenders(self._tail),
            unit="ms",
            rounds=1,
            warm_ups=0,
        )
        return rates, medians, tails

    def _contenders(self, run: Callable[[Server], TimedRun]) -> tuple[Contender, ...]:
        return tuple(Contender(server.name, partial(run, server)) for server in self.servers)

    def _saturated(self, server: Server) -> TimedRun:
        bodies = self._bodies(server)
        seconds = asyncio.run(_with_client(server, lambda send: saturate(send, bodies, connections=self.connections)))
        self._rates[server.name].append(len(bodies) / seconds)
        return TimedRun(len(bodies), seconds)

    def _offered(self, server: Server) -> TimedRun:
        bodies = self._bodies(server)
        per_s = LOAD_SHARE * min(statistics.median(rates) for rates in self._rates.values())
        latencies_ms = asyncio.run(_with_client(server, lambda send: offer(send, bodies, per_s=per_s, seed=_SEED)))
        self._latencies_ms[server.name] += latencies_ms
        return TimedRun(percentile(latencies_ms, _MEDIAN), seconds=1.0)

    def _tail(self, server: Server) -> TimedRun:
        return TimedRun(percentile(self._latencies_ms[server.name], _NINETY_NINTH), seconds=1.0)

    def _bodies(self, server: Server) -> Sequence[bytes]:
        return [server.body(file) for file in self.files(self.requests)]


async def _with_client(server: Server, work: Callable[[Send], Awaitable[Result]]) -> Result:
    """Do work with connections of its own to a server."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=server.headers) as client:

        async def send(body: bytes) -> None:
            async with client.post(server.url, data=body) as response:
                answer = await response.read()
            if response.status != HTTPStatus.OK or server.answer_has not in answer:
                raise WrongAnswerError(f"{server.name} answered {response.status}: {answer[:500]!r}")

        return await work(send)
