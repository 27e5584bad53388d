"""From images a day to partitions, processes, brokers, network and money: arithmetic alone."""

import math
from dataclasses import dataclass

from service.tools.planning.brokers import Brokers, brokers_for
from service.tools.planning.cost import DAYS_A_MONTH, HOURS_A_DAY
from service.tools.planning.demand import DailyCurve, Demand
from service.tools.planning.incidents import Group, Incident, burst, lost_process, processes_for_burst
from service.tools.planning.partitions import (
    STRAINED_BUSY,
    busiest_share,
    least_processes,
    partitions_for,
    processes_for,
)
from service.tools.planning.workers import Worker

# What an object store in the same region takes to answer and send a photograph: an assumption.
FETCH_S = 0.15
# Outcomes wait for the next transaction, which takes some milliseconds (`commit.interval_s`).
COMMIT_S = 0.1


class TooManyError(ValueError):
    """The plan would need more processes than there can be partitions."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices in one currency."""

    gpu_hour: float
    """Of a card with the cores and the memory beside it."""
    core_hour: float
    """Of a rented core with its memory, for brokers and for the embedded engine."""
    disk_gb_month: float


@dataclass(frozen=True, slots=True)
class MonthlyCost:
    """The cost of 30 days, without the object store, its traffic, and working time."""

    always_on: float
    """Processes for the peak, all day."""
    scaled: float
    """Processes that follow the day, by the hour."""
    brokers: float
    images: float

    @property
    def per_1000(self) -> float:
        """The cost of 1,000 images with processes that are always on."""
        return (self.always_on + self.brokers) / self.images * 1000

    @property
    def per_1000_scaled(self) -> float:
        """The cost of 1,000 images with a number of processes that follows the day."""
        return (self.scaled + self.brokers) / self.images * 1000


@dataclass(frozen=True, slots=True)
class Capacity:
    """A deployment that carries a demand."""

    demand: Demand
    worker: Worker
    average_per_s: float
    peak_per_s: float
    partitions: int
    processes: int
    """At the peak; never more than partitions."""
    processes_at_night: int
    """At the quietest hour, if they are scaled."""
    busy: float
    """Share of its time that the busiest process works at the peak."""
    cores: int
    """Of all processes."""
    memory_gib: float
    object_store_gbit_s: float
    """At the peak."""
    brokers: Brokers
    in_flight: float
    """Images of one process at the peak, on average; `window.max_records` must be more."""
    answer_s: float
    """From upload to verdict at the peak, for an ordinary image."""
    incidents: tuple[Incident, ...]
    processes_for_burst: int
    """That would keep the target through the burst."""
    cost: MonthlyCost

    @property
    def gpus(self) -> int:
        """The number of GPUs: one for each process, or none; and those of a first pass that has cards of its own."""
        return self.processes + self.first_pass_gpus if self.worker.has_gpu else 0

    @property
    def first_pass_gpus(self) -> int:
        """The number of GPUs of a first pass on cards of its own, as busy as those of the processes."""
        return math.ceil(self.processes * self.worker.first_pass_cards)

    @property
    def keeps_target(self) -> bool:
        """Whether an ordinary image at the peak is answered in time."""
        return self.answer_s <= self.demand.target_s


def plan_capacity(demand: Demand, worker: Worker, prices: Prices, *, retention_days: float) -> Capacity:
    """Return the smallest deployment that the rules allow; raises `TooManyError`."""
    curve, rate = demand.curve, worker.images_per_s
    partitions = partitions_for(curve.peak_per_s, rate, demand.growth)
    processes = processes_at(curve.peak_per_s, demand, worker, partitions)
    group = Group(partitions, processes, rate)
    share = curve.peak_per_s * busiest_share(partitions, processes)
    answer_s = FETCH_S + worker.answer_s + COMMIT_S
    brokers = brokers_for(demand, retention_days)
    return Capacity(
        demand=demand,
        worker=worker,
        average_per_s=curve.average_per_s,
        peak_per_s=curve.peak_per_s,
        partitions=partitions,
        processes=processes,
        processes_at_night=min(processes_by_hour(demand, worker, partitions)),
        busy=share / rate,
        cores=processes * worker.cores,
        memory_gib=processes * worker.memory_gib,
        object_store_gbit_s=curve.peak_per_s * demand.image_kb * 8 / 1e6,
        brokers=brokers,
        in_flight=share * answer_s,
        answer_s=answer_s,
        incidents=(burst(group, curve.average_per_s), lost_process(group, curve.peak_per_s)),
        processes_for_burst=processes_for_burst(rate, curve.average_per_s, demand.target_s),
        cost=_cost(demand, worker, group, brokers, prices),
    )


def processes_at(per_s: float, demand: Demand, worker: Worker, partitions: int) -> int:
    """Return the processes for a rate: none busier than planned, and some may be missing."""
    planned = processes_for(per_s, worker.images_per_s, partitions)
    strained = processes_for(per_s, worker.images_per_s, partitions, busy=STRAINED_BUSY)
    if planned is None or strained is None or strained + demand.may_fail > partitions:
        message = f"{per_s:,.0f} images/s and {demand.may_fail} spare need more processes than {partitions} partitions"
        raise TooManyError(message)
    return max(planned, strained + demand.may_fail, least_processes(partitions))


def processes_by_hour(demand: Demand, worker: Worker, partitions: int) -> list[int]:
    """Return what each hour of the day needs, if processes come and go with it."""
    return [processes_at(rate, demand, worker, partitions) for rate in _hourly_peaks(demand.curve)]


def _hourly_peaks(curve: DailyCurve) -> list[float]:
    return [max(curve.per_s(hour), curve.per_s(hour + 1)) for hour in range(HOURS_A_DAY)]


def _cost(demand: Demand, worker: Worker, group: Group, brokers: Brokers, prices: Prices) -> MonthlyCost:
    cards = 1.0 + worker.first_pass_cards
    process_hour = prices.gpu_hour * cards if worker.has_gpu else worker.cores * prices.core_hour
    first_pass = math.ceil(group.processes * worker.first_pass_cards)
    always_on = (group.processes + first_pass) * prices.gpu_hour if worker.has_gpu else group.processes * process_hour
    hours = sum(processes_by_hour(demand, worker, group.partitions))
    cluster = brokers.cores * prices.core_hour * HOURS_A_DAY * DAYS_A_MONTH
    return MonthlyCost(
        always_on=always_on * HOURS_A_DAY * DAYS_A_MONTH,
        scaled=hours * DAYS_A_MONTH * process_hour,
        brokers=cluster + math.ceil(brokers.disk_gb) * prices.disk_gb_month,
        images=demand.images_per_day * DAYS_A_MONTH,
    )
