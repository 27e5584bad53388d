import asyncio
import itertools
import statistics

import pytest

from testing.http_load import arrivals_s, offer, percentile, saturate

BODIES = [b"%d" % number for number in range(40)]


class Waiting:
    """A server that answers nothing until so many requests are in hand, and then everything."""

    def __init__(self, until: int) -> None:
        self._until = until
        self._in_hand = 0
        self._open = asyncio.Event()
        self.most_in_hand = 0
        self.bodies: list[bytes] = []

    async def send(self, body: bytes) -> None:
        self.bodies.append(body)
        self._in_hand += 1
        self.most_in_hand = max(self.most_in_hand, self._in_hand)
        if self._in_hand == self._until:
            self._open.set()
        await self._open.wait()
        await asyncio.sleep(0)
        self._in_hand -= 1


def test_requests_arrive_at_the_offered_rate_and_equally_for_all_servers() -> None:
    times = arrivals_s(1001, 50.0, seed=1)

    assert times[0] == 0.0
    assert times[-1] == pytest.approx(1000 / 50.0)
    assert list(times) == sorted(times)
    assert times == arrivals_s(1001, 50.0, seed=1)


def test_requests_arrive_as_irregularly_as_those_of_independent_callers() -> None:
    gaps = [later - earlier for earlier, later in itertools.pairwise(arrivals_s(10_001, 50.0, seed=1))]

    # The standard deviation of exponential gaps equals their mean.
    assert statistics.stdev(gaps) == pytest.approx(statistics.mean(gaps), rel=0.05)


def test_percentiles_lie_between_values() -> None:
    values = [float(number) for number in range(101)]

    assert (percentile(values, 50), percentile(values, 99)) == (50.0, 99.0)
    assert percentile([1.0, 2.0], 50) == 1.5


async def test_saturation_keeps_so_many_requests_in_flight_and_sends_each_body_once() -> None:
    server = Waiting(until=8)

    await saturate(server.send, BODIES, connections=8)

    assert server.most_in_hand == 8
    assert sorted(server.bodies) == sorted(BODIES)


async def test_offered_load_does_not_wait_for_answers() -> None:
    server = Waiting(until=len(BODIES))

    latencies_ms = await offer(server.send, BODIES, per_s=400.0, seed=1)

    # The first one waits for the last one, which is due after 39 gaps of 2.5 ms on average: 97.5 ms.
    assert latencies_ms[0] > 97
    assert server.most_in_hand == len(BODIES)


async def test_a_latency_counts_from_when_the_request_was_due() -> None:
    loop = asyncio.get_running_loop()

    async def block(_: bytes) -> None:
        until = loop.time() + 0.02
        while loop.time() < until:
            pass  # neither this request nor the load generator goes on

    latencies_ms = await offer(block, BODIES[:10], per_s=1000.0, seed=1)

    # The last one is due after 9 ms, and done when ten times 20 ms are over.
    assert max(latencies_ms) >= 180


async def test_a_failed_request_ends_the_load() -> None:
    async def fail(_: bytes) -> None:
        raise ConnectionError

    with pytest.raises(ExceptionGroup):
        await saturate(fail, BODIES, connections=2)
