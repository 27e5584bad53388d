"""What Kafka needs for a demand: disk, network and brokers."""

import math
from dataclasses import dataclass

from service.tools.planning.cost import SECONDS_A_DAY
from service.tools.planning.demand import Demand

REPLICATION = 3
# What a verdict, its tags and the headers of both come to. The examples in schemas/examples have 1 to 2 kB.
OUTCOME_KB = 2.5
# Share of a disk that is filled: the rest is for a broker that is away and catches up.
DISK_FILLED = 0.7
# Of one broker, cautious for four cores and one disk; assumptions.
BROKER_MB_S, BROKER_DISK_GB = 50.0, 2000.0
BROKER_CORES, BROKER_MEMORY_GIB = 4, 16


@dataclass(frozen=True, slots=True)
class Brokers:
    """A cluster of brokers; every figure includes all replicas."""

    count: int
    limited_by: str
    disk_gb: float
    """Of all brokers together."""
    written_mb_s: float
    """At the peak of the day."""

    @property
    def cores(self) -> int:
        """The cores of all brokers together."""
        return self.count * BROKER_CORES


def brokers_for(demand: Demand, retention_days: float) -> Brokers:
    """Return the cluster; three brokers at least, so that each record has three copies and one broker may fail."""
    record_kb = demand.event_kb + OUTCOME_KB
    written = demand.curve.peak_per_s * record_kb / 1000 * REPLICATION
    kept = demand.curve.average_per_s * SECONDS_A_DAY * retention_days * record_kb / 1e6 * REPLICATION
    disk = kept / DISK_FILLED
    counts = {
        "copies": REPLICATION,
        "disk": math.ceil(disk / BROKER_DISK_GB),
        "writing": math.ceil(written / BROKER_MB_S),
    }
    limit = max(counts, key=lambda name: counts[name])
    return Brokers(counts[limit], limit, disk, written)
