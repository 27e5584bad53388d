"""The simulation of one process keeps to what queueing theory and the service's own bounds say."""

from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from service.tools.planning.demand import DailyCurve
from service.tools.planning.gpus import find_gpu
from service.tools.planning.models import find_model
from service.tools.planning.plan import plan_gpu
from service.tools.planning.simulation.arrivals import Burst, Day, arrivals
from service.tools.planning.simulation.costs import EngineCosts, StageCosts, gpu_costs, rehearsal_engine
from service.tools.planning.simulation.images import Observed, ProcessSimulation
from service.tools.planning.simulation.statistics import percentiles, spread
from service.tools.planning.workload import TYPICAL

# One image a step: a queue with one server and a fixed time.
SINGLE = EngineCosts(step_images=1, image_s=0.01, shortest_step_s=0.01, in_flight=10_000)
NOTHING_ELSE = StageCosts(
    SINGLE,
    event_s=0.0,
    receive_s=0.0,
    fetch_median_s=0.0,
    fetch_tail=1.0001,
    decode_s=0.0,
    commit_interval_s=0.0,
    commit_s=0.0,
    window=10_000,
)


def steady(costs: StageCosts, per_s: float, duration_s: float = 60.0) -> Observed:
    return ProcessSimulation(costs).run(arrivals(lambda _: per_s, duration_s, most_per_s=per_s, seed=3))


@given(st.floats(1, 400), st.integers(1, 64), st.integers(1, 300))
# Shrinking a failure would simulate for minutes.
@settings(max_examples=15, phases=(Phase.explicit, Phase.generate))
def test_all_that_arrives_leaves_and_the_window_is_never_more_than_full(per_s: float, batch: int, window: int) -> None:
    costs = replace(NOTHING_ELSE, engine=rehearsal_engine(batch, 0.1), window=window, fetch_median_s=0.02)
    seen = steady(costs, per_s, duration_s=5.0)
    assert seen.finished == seen.arrived
    assert seen.most_in_flight <= window
    assert min((latency for _, latency in seen.latencies), default=1.0) >= 0.1


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_the_engine_is_busy_for_the_share_that_arrives(load: float) -> None:
    seen = steady(NOTHING_ELSE, load * 100, duration_s=200.0)
    assert seen.engine_busy_s / seen.ended_s == pytest.approx(load, rel=0.05)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_random_arrivals_at_a_fixed_time_of_service_wait_as_the_formula_of_pollaczek_and_khinchine_says(
    load: float,
) -> None:
    seen = steady(NOTHING_ELSE, load * 100, duration_s=400.0)
    waits = [latency - 0.01 for _, latency in seen.latencies]
    assert sum(waits) / len(waits) == pytest.approx(0.01 * load / (2 * (1 - load)), rel=0.12)


def test_a_backlog_is_judged_at_the_rate_of_the_slowest_stage() -> None:
    engine = rehearsal_engine(64, 0.376)
    for costs in (
        replace(NOTHING_ELSE, engine=engine),
        replace(NOTHING_ELSE, engine=engine, decode_s=0.04, decoders=2),
        replace(NOTHING_ELSE, engine=engine, event_s=0.01),
    ):
        seen = ProcessSimulation(costs).run([0.0] * 4000)
        assert seen.finished / seen.ended_s == pytest.approx(costs.images_per_s, rel=0.05)


def test_a_window_that_is_smaller_than_a_batch_starves_the_engine() -> None:
    costs = replace(NOTHING_ELSE, engine=rehearsal_engine(64, 0.376), fetch_median_s=0.1)
    rates = [
        seen.finished / seen.ended_s
        for window in (32, 128, 256)
        if (seen := ProcessSimulation(replace(costs, window=window)).run([0.0] * 2000))
    ]
    assert rates[0] < 70
    assert rates[2] > 155
    assert rates == sorted(rates)


def test_a_longer_load_takes_longer_in_every_percentile() -> None:
    costs = replace(NOTHING_ELSE, engine=rehearsal_engine(8, 0.05))
    shown = [percentiles((latency, 1.0) for _, latency in steady(costs, rate).latencies) for rate in (60, 120, 150)]
    assert shown == sorted(shown)


def test_images_with_reasons_in_words_stay_for_their_steps() -> None:
    plan = plan_gpu(find_gpu("H100"), find_model("8B"), TYPICAL)
    costs = gpu_costs(plan, decoders=5, megapixels=2.0)
    assert plan.take is not None
    assert costs.images_per_s == pytest.approx(plan.take.images_per_s)
    p50_s, p99_s = percentiles((latency, 1.0) for _, latency in steady(costs, 90.0, duration_s=30.0).latencies)
    assert p99_s - p50_s > costs.engine.long_steps * costs.engine.shortest_step_s


def test_arrivals_follow_their_rate() -> None:
    day = Day(DailyCurve(average_per_s=100.0, peak_factor=2.0), day_s=100.0)
    load = Burst(day, factor=3.0, from_s=20.0, for_s=10.0)
    moments = list(arrivals(load, 100.0, most_per_s=600.0, seed=1))
    usual = sum(day(at_s / 10) / 10 for at_s in range(1000))
    more = sum(day(at_s / 10) / 10 for at_s in range(200, 300))
    assert usual == pytest.approx(10_000, rel=0.01)
    assert len(moments) == pytest.approx(usual + 2 * more, rel=0.03)
    assert moments == sorted(moments)


def test_percentiles_count_what_numbers_weigh() -> None:
    assert percentiles([(1.0, 98.0), (5.0, 2.0), (9.0, 0.0)], (0.5, 0.98, 0.99, 1.0)) == (1.0, 1.0, 5.0, 5.0)
    assert percentiles([]) == (0.0, 0.0)
    assert sum(spread(range(1000), 10)) / 10 == pytest.approx(499.5)
