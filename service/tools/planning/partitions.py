"""How many partitions a topic of uploads should have, and how many processes can share them."""

import math

# Numbers with many divisors: more counts of processes share them evenly. Twelve cost nothing, and last for long.
EVEN = (12, 24, 36, 48, 60, 72, 96, 120, 144, 180, 240, 360, 480, 720, 960, 1440, 1920, 2880)
# A process that has three of them where others have two works half as much again: with four or more it is a quarter.
A_PROCESS = 2
# Of what a process can do at the peak of the day: the rest catches up after a burst, a restart or a lost neighbour.
PLANNED_BUSY = 0.7
# While some are missing: less than all, or a backlog would never shrink.
STRAINED_BUSY = 0.95
# Each open partition has a producer and commits up to twice a second, at 3 ms of CPU: more would cost a quarter core.
MOST_A_PROCESS = 40


def partitions_for(peak_per_s: float, images_per_s: float, growth: float) -> int:
    """Return partitions that last for so many times that peak, with processes of that rate."""
    later = math.ceil(peak_per_s * growth / (images_per_s * PLANNED_BUSY))
    wanted = A_PROCESS * later
    return next((count for count in EVEN if count >= wanted), math.ceil(wanted / EVEN[-1]) * EVEN[-1])


def busiest_share(partitions: int, processes: int) -> float:
    """Return the share of all records that the process with the most partitions gets."""
    return math.ceil(partitions / processes) / partitions


def group_rate(partitions: int, processes: int, images_per_s: float) -> float:
    """Return the rate at which the busiest process can just keep up: the whole group's before any lag grows."""
    return images_per_s / busiest_share(partitions, processes)


def processes_for(per_s: float, images_per_s: float, partitions: int, *, busy: float = PLANNED_BUSY) -> int | None:
    """Return the fewest processes of which none is busier than that; None if not even one a partition is enough."""
    counts = range(1, partitions + 1)
    return next((n for n in counts if per_s <= busy * group_rate(partitions, n, images_per_s)), None)


def least_processes(partitions: int) -> int:
    """Return how few may share them before committing costs more than it should."""
    return math.ceil(partitions / MOST_A_PROCESS)
