"""Load for a server: as much as it takes, or a fixed rate that does not wait for answers."""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

Send = Callable[[bytes], Awaitable[None]]
"""Sends a body and returns when the whole answer has come."""


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile, between two values where it falls between them."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def arrivals_s(count: int, per_s: float, *, seed: int) -> Sequence[float]:
    """Return when requests of independent callers arrive, seconds from the first: the same for the same seed."""
    source = random.Random(seed)
    gaps = [source.expovariate(1.0) for _ in range(count - 1)]
    # The gaps are stretched so that the rate is met exactly, whatever their sum happened to be.
    stretch = (count - 1) / per_s / sum(gaps)
    times = [0.0]
    for gap in gaps:
        times.append(times[-1] + gap * stretch)
    return times


async def saturate(send: Send, bodies: Sequence[bytes], *, connections: int) -> float:
    """Send all bodies, so many at the same time; return the seconds until the last answer."""
    left = iter(bodies)

    async def worker() -> None:
        for body in left:
            await send(body)

    began_s = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(worker())
    return time.perf_counter() - began_s


async def offer(send: Send, bodies: Sequence[bytes], *, per_s: float, seed: int) -> Sequence[float]:
    """Send each body when it is due, however slow the answers are; return the latencies in ms.

    A latency counts from the time at which the request was due: what waits because the load generator or the server is
    behind has waited.
    """
    loop = asyncio.get_running_loop()
    began_s = loop.time()

    async def one(body: bytes, due_s: float) -> float:
        await asyncio.sleep(began_s + due_s - loop.time())
        await send(body)
        return (loop.time() - began_s - due_s) * 1000

    async with asyncio.TaskGroup() as group:
        due = arrivals_s(len(bodies), per_s, seed=seed)
        tasks = [group.create_task(one(body, due_s)) for body, due_s in zip(bodies, due, strict=True)]
    return [task.result() for task in tasks]
