"""What a burst or a lost process does to a group of fixed size, in closed form: lag, the longest wait, catching up."""

import math
from dataclasses import dataclass

from service.settings.kafka import KafkaSettings
from service.tools.planning.partitions import group_rate

BURST_FACTOR, BURST_S = 10.0, 600.0
LOST_S = 600.0
# From the moment that the group notices until its members read again: an assumption, seconds on a healthy cluster.
REBALANCE_S = 3.0


@dataclass(frozen=True, slots=True)
class Incident:
    """One misfortune."""

    name: str
    lag: float
    """Records that wait on the brokers in the worst moment."""
    longest_wait_s: float
    """On the brokers; infinite if the group never catches up."""
    caught_up_s: float
    """After the misfortune is over."""


@dataclass(frozen=True, slots=True)
class Group:
    """Processes of one rate that share partitions."""

    partitions: int
    processes: int
    images_per_s: float
    """Of each."""

    @property
    def rate(self) -> float:
        """Of all together while partitions get equally many records."""
        return group_rate(self.partitions, self.processes, self.images_per_s)

    def without(self, lost: int) -> "Group":
        """Return what is left when some are gone."""
        return Group(self.partitions, self.processes - lost, self.images_per_s)


def burst(group: Group, average_per_s: float) -> Incident:
    """Return what ten minutes of ten times the average do."""
    return _overload(f"burst of {BURST_FACTOR:g} × for 10 min", group, BURST_FACTOR * average_per_s, average_per_s)


def _overload(name: str, group: Group, offered_per_s: float, later_per_s: float) -> Incident:
    lag = max(0.0, offered_per_s - group.rate) * BURST_S
    return Incident(name, lag, lag / group.rate, _caught_up(lag, group.rate, later_per_s))


def lost_process(group: Group, peak_per_s: float) -> Incident:
    """Return what ten minutes without one process do at the peak: first its partitions wait, then others take them."""
    name = "one process gone for 10 min at the peak"
    left = group.without(1)
    noticed_s = KafkaSettings().session_timeout_s + REBALANCE_S
    share = math.ceil(group.partitions / group.processes) / group.partitions
    if left.processes == 0:
        lag = peak_per_s * LOST_S
        return Incident(name, lag, LOST_S, _caught_up(lag, group.rate, peak_per_s))
    orphaned = peak_per_s * share * noticed_s + peak_per_s * (1 - share) * REBALANCE_S
    lag = orphaned + max(0.0, peak_per_s - left.rate) * (LOST_S - noticed_s)
    rate = left.rate if left.rate > peak_per_s else group.rate
    wait = max(noticed_s, lag / rate)
    return Incident(name, lag, wait, _caught_up(lag, rate, peak_per_s))


def processes_for_burst(images_per_s: float, average_per_s: float, target_s: float) -> int:
    """Return the processes with which the last image of a burst waits no longer than that."""
    rate = BURST_FACTOR * average_per_s * BURST_S / (BURST_S + target_s)
    return math.ceil(rate / images_per_s)


def _caught_up(lag: float, rate: float, per_s: float) -> float:
    if lag <= 0:
        return 0.0
    return lag / (rate - per_s) if rate > per_s else math.inf
