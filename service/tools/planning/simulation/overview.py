"""The table that docs/capacity.md begins with: from 5,000 to 100 million images a day."""

from collections.abc import Iterator
from dataclasses import dataclass

from service.tools.planning.capacity import Capacity, Prices, plan_capacity
from service.tools.planning.capacity_tables import few_digits
from service.tools.planning.cost_tables import money
from service.tools.planning.demand import Demand
from service.tools.planning.gpus import find_gpu
from service.tools.planning.models import DEFAULT_MODEL, find_model
from service.tools.planning.plan import plan_gpu
from service.tools.planning.workers import Worker, embedded_worker, gpu_worker
from service.tools.planning.workload import TYPICAL

CORE_HOUR, DISK_GB_MONTH, RETENTION_DAYS = 0.05, 0.08, 3.0
# US dollars an hour, with the machine around the card: round figures of rented ones.
CARD_HOURS = {"L4": 0.7, "H100": 2.5}
_HEADER = (
    "| Images a day | Engine | May fail | Images/s, at the peak | Partitions | Processes | CPU cores "
    "| Busy at the peak | Object store, Gbit/s | Brokers, GB of disk | USD a month | per 1,000 | scaled |",
    "|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
)


@dataclass(frozen=True, slots=True)
class Case:
    """A row."""

    images_per_day: float
    card: str
    """Empty for the embedded engine."""
    may_fail: int = 1


CASES = (
    Case(5e3, "", may_fail=0),
    Case(5e3, "L4", may_fail=0),
    Case(1e5, ""),
    Case(1e5, "L4"),
    Case(1e6, ""),
    Case(1e6, "L4"),
    Case(1e6, "H100"),
    Case(1e7, ""),
    Case(1e7, "H100"),
    Case(1e8, ""),
    Case(1e8, "H100"),
)


def plan_case(case: Case) -> Capacity:
    """Return the deployment of a row."""
    demand = Demand(case.images_per_day, may_fail=case.may_fail)
    prices = Prices(CARD_HOURS.get(case.card, 0.0), CORE_HOUR, DISK_GB_MONTH)
    return plan_capacity(demand, _worker(case.card, demand.megapixels), prices, retention_days=RETENTION_DAYS)


def overview_markdown() -> str:
    """Return the table."""
    return "".join(f"{line}\n" for line in (*_HEADER, *(f"| {' | '.join(_cells(case))} |" for case in CASES)))


def _cells(case: Case) -> Iterator[str]:
    plan = plan_case(case)
    yield f"{case.images_per_day:,.0f}"
    yield f"{case.card}, one a process" if case.card else plan.worker.name
    yield f"{case.may_fail}"
    yield f"{few_digits(plan.average_per_s)}, {few_digits(plan.peak_per_s)}"
    yield f"{plan.partitions:,}"
    yield f"{plan.processes:,}"
    yield f"{plan.cores:,}"
    yield f"{few_digits(plan.busy * 100)} %"
    yield few_digits(plan.object_store_gbit_s)
    yield f"{plan.brokers.count}, {few_digits(plan.brokers.disk_gb)}"
    yield f"{plan.cost.always_on + plan.cost.brokers:,.0f}"
    yield money(plan.cost.per_1000)
    yield money(plan.cost.per_1000_scaled)


def _worker(card: str, megapixels: float) -> Worker:
    if not card:
        return embedded_worker(megapixels)
    worker = gpu_worker(plan_gpu(find_gpu(card), find_model(DEFAULT_MODEL), TYPICAL), megapixels)
    if worker is None:
        raise ValueError(card)
    return worker
