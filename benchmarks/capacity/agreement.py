"""`python -m benchmarks.capacity.agreement [PICTURE]`: the simulation against the real service, on this machine.

The service runs on Apache Kafka with photographs by HTTP and the engine that takes its time as a GPU would, half as
fast as elsewhere: broker, web server, uploader and reader share the cores, and are not what is compared. What a fetch
and a commit take comes from a light load, what decoding takes from its CPU time. Then a day of two minutes with a burst
of ten times is both simulated and played.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.capacity.rehearsal import Judged, Rehearsal
from benchmarks.contest import Contest, running_contest
from benchmarks.decode import reduced_decode
from benchmarks.peers.photo_server import PHOTOGRAPHS
from benchmarks.photographs import photo_server
from service.settings.delivery import CommitSettings
from service.settings.engine import RehearsalSettings
from service.tools.planning.demand import DailyCurve
from service.tools.planning.plan_tables import plain_table
from service.tools.planning.simulation.arrivals import Burst, Day, arrivals
from service.tools.planning.simulation.costs import StageCosts, rehearsal_engine
from service.tools.planning.simulation.images import ProcessSimulation
from service.tools.planning.simulation.pictures import draw_agreement

PACE = RehearsalSettings(batch_s=2 * RehearsalSettings().batch_s)
DAY_S = 120.0
# Two thirds of what the engine can do at the busiest moment; the burst is more than twice what it can do.
CURVE = DailyCurve(average_per_s=28.0, peak_factor=2.0)
LOAD = Burst(Day(CURVE, DAY_S), factor=10.0, from_s=50.0, for_s=6.0)
MOST_PER_S = CURVE.peak_per_s * LOAD.factor
LIGHT_PER_S, LIGHT_S = 10.0, 20.0
# The service must not end before the run stops it.
UNENDING = 1_000_000_000
# How often each photograph is decoded to see what it takes.
DECODES = 10

Pairs = Sequence[tuple[float, float]]
"""Moment of upload and latency, image by image."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number, simulated and measured."""

    name: str
    unit: str
    simulated: float
    measured: float

    @property
    def deviation(self) -> float:
        """Of the simulated one from the measured one."""
        return self.simulated / self.measured - 1


def main() -> None:
    """Measure, simulate, compare."""
    moments = list(arrivals(LOAD, DAY_S, most_per_s=MOST_PER_S, seed=6))
    with running_contest() as contest, photo_server() as photographs:
        light, real = asyncio.run(_play(contest, photographs, moments))
    costs = calibrate(light)
    simulated = ProcessSimulation(costs).run(moments).latencies
    measured = [(each.uploaded_s, each.latency_s) for each in real]
    console = Console(width=120, highlight=False)
    console.print(f"{len(moments):,} images; costs from {len(light)} images at {LIGHT_PER_S:g}/s: {costs}")
    console.print(figure_table(compare(simulated, measured)))
    for path in map(Path, sys.argv[1:]):
        draw_agreement(simulated, measured, path)


async def _play(contest: Contest, photographs: str, moments: Sequence[float]) -> tuple[list[Judged], list[Judged]]:
    light = list(arrivals(lambda _: LIGHT_PER_S, LIGHT_S, most_per_s=LIGHT_PER_S, seed=5))
    task = await contest.open_task(records=UNENDING)
    async with Rehearsal(task, photographs, PACE.batch_s) as rehearsal:
        return await rehearsal.run(light), await rehearsal.run(moments)


def calibrate(light: Sequence[Judged]) -> StageCosts:
    """Return the costs of the stages as a light load shows them; the engine's are known, the process's documented."""
    engine = rehearsal_engine(PACE.batch_size, PACE.batch_s)
    fetches = [each.stages_s["fetch"] for each in light]
    beside = float(np.median([each.latency_s - each.stages_s["total"] for each in light]))
    interval_s = CommitSettings().interval_s
    return StageCosts(
        engine,
        receive_s=0.002,
        fetch_median_s=float(np.median(fetches)),
        fetch_tail=float(np.quantile(fetches, 0.99) / np.median(fetches)),
        decode_s=_decode_cpu_s(),
        decoders=len(os.sched_getaffinity(0)),
        commit_interval_s=interval_s,
        # What is neither in the process nor waiting for the next commit, half an interval on average.
        commit_s=max(0.003, beside - interval_s / 2),
    )


def _decode_cpu_s() -> float:
    """Return the CPU time that one of the photographs takes on average, however busy the machine is."""
    files = [path.read_bytes() for path in PHOTOGRAPHS.glob("*.jpg")]
    began_s = time.process_time()
    for data in files * DECODES:
        reduced_decode(data)
    return (time.process_time() - began_s) / len(files) / DECODES


def compare(simulated: Pairs, measured: Pairs) -> list[Figure]:
    """Return what is compared: how fast a backlog is judged, and percentiles before the burst, in it, and in all."""
    both = (simulated, measured)
    figures = [
        _figure("judged while a backlog waits", "images/s", both, _drain_rate),
        _figure("last verdict after", "s", both, _last_s),
    ]
    burst = (LOAD.from_s, LOAD.from_s + LOAD.for_s)
    parts = {"before the burst": (5.0, burst[0]), "in the burst": burst, "in all": (0.0, DAY_S)}
    for part, (from_s, until_s) in parts.items():
        for share in (0.5, 0.95, 0.99):
            name, quantile = f"p{share * 100:g} {part}", partial(_quantile, from_s=from_s, until_s=until_s, share=share)
            figures.append(_figure(name, "s", both, quantile))
    return figures


def _figure(name: str, unit: str, both: tuple[Pairs, Pairs], of: Callable[[Pairs], float]) -> Figure:
    simulated, measured = map(of, both)
    return Figure(name, unit, simulated, measured)


def _last_s(pairs: Pairs) -> float:
    return max(at_s + latency for at_s, latency in pairs)


def _quantile(pairs: Pairs, *, from_s: float, until_s: float, share: float) -> float:
    return float(np.quantile([latency for at_s, latency in pairs if from_s <= at_s < until_s], share))


def _drain_rate(pairs: Pairs) -> float:
    """Return the rate of verdicts from the middle of the burst until six seconds later: the queue is full then."""
    from_s = LOAD.from_s + LOAD.for_s / 2
    return sum(from_s <= at_s + latency < from_s + LOAD.for_s for at_s, latency in pairs) / LOAD.for_s


def figure_table(figures: Sequence[Figure]) -> Table:
    """Return simulated and measured figures side by side."""
    table = plain_table()
    table.add_column("")
    for name in ("simulated", "measured", "deviation"):
        table.add_column(name, justify="right")
    for each in figures:
        shown = (f"{value:.3g} {each.unit}" for value in (each.simulated, each.measured))
        table.add_row(each.name, *shown, f"{each.deviation:+.1%}")
    return table


if __name__ == "__main__":
    main()
