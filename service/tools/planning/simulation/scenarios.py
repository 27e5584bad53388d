"""Days and misfortunes of a deployment: what they do to lag, latency and the machines' use."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from service.tools.planning.capacity import Capacity, processes_at
from service.tools.planning.demand import PEAK_HOUR
from service.tools.planning.incidents import BURST_FACTOR, BURST_S, LOST_S
from service.tools.planning.partitions import PLANNED_BUSY, busiest_share, least_processes
from service.tools.planning.simulation.arrivals import Burst, Day, Rate, arrivals
from service.tools.planning.simulation.costs import StageCosts
from service.tools.planning.simulation.fleet import Fleet, FleetSettings, Loss, Sample
from service.tools.planning.simulation.images import ProcessSimulation
from service.tools.planning.simulation.scaler import CHART_DOWN, CHART_UP, Scaler, ScalerSettings
from service.tools.planning.simulation.statistics import percentiles, spread

DAY_S = 86_400.0
# Ticks of a day are longer: what is looked at takes minutes there.
DAY_TICK_S = 5.0
# Of one process, image by image.
SLICE_S = 600.0
# Stand for all latencies inside a process; the 99th percentile needs at least so many.
INSIDE_VALUES = 200
QUIET_S = 900.0
AFTERWARDS_S = 5400.0
# A process may have records of so many seconds of its work waiting before a trigger on lag wants another.
LAG_S = 10.0
# What the chart's autoscaling.lagPerReplica of 500 is to an H100.
CHART_LAG_S = 4.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load, and a group that meets it."""

    name: str
    title: str
    settings: FleetSettings
    rate: Rate
    duration_s: float
    scaling: ScalerSettings | None = None
    losses: tuple[Loss, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What a scenario came to."""

    scenario: Scenario
    samples: Sequence[Sample]
    most_lag: float
    p50_s: float
    p99_s: float
    longest_s: float
    within_target: float
    """Share of images."""
    utilisation: float
    """Of the processes that are paid for."""
    process_hours: float
    most_processes: int
    rebalances: int


def one_process(costs: StageCosts, per_s: float, *, duration_s: float = SLICE_S) -> list[float]:
    """Return the latencies of a process that gets images at a steady rate, its first minute left out."""
    moments = arrivals(lambda _: per_s, duration_s, most_per_s=per_s, seed=1)
    seen = ProcessSimulation(costs).run(moments)
    return [latency for arrived_s, latency in seen.latencies if arrived_s > duration_s / 10]


def scenarios(plan: Capacity, inside_s: float) -> list[Scenario]:
    """Return the daily curve, a burst, a lost process, and scaling through the first two."""
    worker = plan.worker
    fixed = FleetSettings(plan.partitions, plan.processes, worker.images_per_s, worker.start_s, inside_s)
    night = processes_at(plan.demand.curve.per_s(0), plan.demand, worker, plan.partitions)
    day, day_settings = Day(plan.demand.curve), replace(fixed, tick_s=DAY_TICK_S)
    scaled_day = replace(day_settings, processes=night)
    evening = Day(plan.demand.curve, starts_at_hour=PEAK_HOUR - QUIET_S / 3600)
    average = Burst(lambda _: plan.average_per_s, BURST_FACTOR, QUIET_S, BURST_S)
    lag = ScalerSettings(worker.images_per_s * LAG_S, least_processes(plan.partitions), most=_most(plan))
    chart = replace(lag, lag_threshold=worker.images_per_s * CHART_LAG_S, up=CHART_UP, down=CHART_DOWN)
    both = replace(chart, rate_threshold=worker.images_per_s * PLANNED_BUSY)
    hours = QUIET_S + BURST_S + AFTERWARDS_S
    return [
        Scenario("day", "A day, always on", day_settings, day, DAY_S),
        Scenario("day-scaled", "A day, scaled by uploads and lag", scaled_day, day, DAY_S, both),
        Scenario("day-lag", "A day, scaled by lag, usual policies", scaled_day, day, DAY_S, lag),
        Scenario("day-chart", "A day, scaled by lag as the chart does", scaled_day, day, DAY_S, chart),
        Scenario("burst", "Ten times as many for 10 min, always on", fixed, average, hours),
        Scenario("burst-scaled", "The same, scaled by uploads and lag", _average(plan, fixed), average, hours, both),
        Scenario("lost", "One process lost for 10 min at the peak", fixed, evening, 3600.0, losses=(_loss(),)),
    ]


def _average(plan: Capacity, fixed: FleetSettings) -> FleetSettings:
    return replace(fixed, processes=processes_at(plan.average_per_s, plan.demand, plan.worker, plan.partitions))


def _most(plan: Capacity) -> int:
    """Return the most processes: twice those of the peak, and never more than partitions."""
    return min(plan.partitions, 2 * plan.processes)


def _loss() -> Loss:
    return Loss(at_s=QUIET_S, for_s=LOST_S)


def play(scenario: Scenario, inside: Sequence[float], target_s: float) -> Result:
    """Simulate a scenario; `inside` are latencies inside a process, which come on top of waiting."""
    scaler = Scaler(scenario.scaling) if scenario.scaling else None
    fleet = Fleet(scenario.settings, scenario.rate, scaler=scaler, losses=scenario.losses)
    samples = fleet.run(scenario.duration_s)
    latencies = latencies_of(samples, inside)
    p50_s, p99_s, longest_s = percentiles(latencies.items(), (0.5, 0.99, 1.0))
    tick_s, judged = scenario.settings.tick_s, sum(sample.judged for sample in samples)
    paid_s = sum(sample.processes for sample in samples) * tick_s
    in_time = sum(count for latency, count in latencies.items() if latency <= target_s)
    return Result(
        scenario=scenario,
        samples=samples,
        most_lag=max(sample.lag for sample in samples),
        p50_s=p50_s,
        p99_s=p99_s,
        longest_s=longest_s,
        within_target=in_time / judged,
        utilisation=judged / scenario.settings.images_per_s / paid_s,
        process_hours=paid_s / 3600,
        most_processes=max(sample.processes for sample in samples),
        rebalances=fleet.rebalances - 1,
    )


def latencies_of(samples: Iterable[Sample], inside: Sequence[float]) -> Mapping[float, float]:
    """Return how many images took how long: each wait met by all that may happen inside."""
    waits: defaultdict[float, float] = defaultdict(float)
    for sample in samples:
        for wait_s, count in sample.waits:
            waits[wait_s] += count
    values = [round(value, 2) for value in spread(inside, INSIDE_VALUES)]
    latencies: defaultdict[float, float] = defaultdict(float)
    for wait_s, count in waits.items():
        for value in values:
            latencies[round(wait_s + value, 2)] += count / INSIDE_VALUES
    return latencies


def peak_share_per_s(plan: Capacity) -> float:
    """Return what the busiest process gets at the peak."""
    return plan.peak_per_s * busiest_share(plan.partitions, plan.processes)
