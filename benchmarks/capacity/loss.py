"""`python -m benchmarks.capacity.loss`: a process of a real group is killed, and what follows is compared.

Two processes share six partitions on Apache Kafka under a steady load; one ends as a lost machine does. Its partitions
wait until the group notices, then for the rebalance.
"""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

from rich.console import Console

from benchmarks.capacity.agreement import PACE, UNENDING, Figure, figure_table
from benchmarks.capacity.rehearsal import Judged, Rehearsal
from benchmarks.contest import Contest, running_contest
from benchmarks.photographs import photo_server
from service.tools.planning.incidents import REBALANCE_S
from service.tools.planning.simulation.arrivals import arrivals
from service.tools.planning.simulation.fleet import Fleet, FleetSettings, Loss
from service.tools.planning.simulation.statistics import percentiles

PARTITIONS, PROCESSES = 6, 2
PER_S, DURATION_S, KILLED_AT_S = 40.0, 70.0, 20.0
# Longer than any image takes while nothing happens.
LATE_S = 5.0


def main() -> None:
    """Kill, simulate, compare."""
    moments = list(arrivals(lambda _: PER_S, DURATION_S, most_per_s=PER_S, seed=8))
    with running_contest() as contest, photo_server() as photographs:
        judged = asyncio.run(_play(contest, photographs, moments))
    console = Console(width=120, highlight=False)
    console.print(
        f"{len(judged):,} images, all judged; longest time without any verdict: {longest_silence_s(judged):.1f} s"
    )
    console.print(figure_table(_figures(judged)))


async def _play(contest: Contest, photographs: str, moments: Sequence[float]) -> list[Judged]:
    task = await contest.open_task(records=UNENDING, partitions=PARTITIONS)
    async with Rehearsal(task, photographs, PACE.batch_s, processes=PROCESSES) as rehearsal:
        asyncio.get_running_loop().call_later(KILLED_AT_S, rehearsal.kill_one)
        return await rehearsal.run(moments)


def longest_silence_s(judged: Sequence[Judged]) -> float:
    """Return the longest time in which no verdict came: the rebalance, in which no process reads."""
    moments = sorted(each.uploaded_s + each.latency_s for each in judged)
    return max(later - earlier for earlier, later in pairwise(moments))


def _figures(judged: Sequence[Judged]) -> list[Figure]:
    usual_s = percentiles(((each.latency_s, 1.0) for each in judged if each.uploaded_s < KILLED_AT_S / 2), (0.5,))[0]
    settings = FleetSettings(PARTITIONS, PROCESSES, PACE.batch_size / PACE.batch_s, start_s=0.0, tick_s=0.25)
    fleet = Fleet(settings, lambda _: PER_S, losses=[Loss(KILLED_AT_S, 10 * DURATION_S)])
    waits = [(wait_s + usual_s, count) for sample in fleet.run(DURATION_S) for wait_s, count in sample.waits]
    late = (sum(count for latency_s, count in waits if latency_s > LATE_S), sum(e.latency_s > LATE_S for e in judged))
    longest = (max(waits)[0], max(each.latency_s for each in judged))
    return [
        Figure("longest until the verdict", "s", *longest),
        Figure(f"later than {LATE_S:g} s", "images", *map(float, late)),
        Figure("rebalance, in which no process reads", "s", REBALANCE_S, longest_silence_s(judged)),
    ]


if __name__ == "__main__":
    main()
