from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.tools.planning.capacity import Prices, TooManyError, plan_capacity, processes_by_hour
from service.tools.planning.cpu_sizing import decode_s
from service.tools.planning.demand import DailyCurve, Demand
from service.tools.planning.incidents import Group, burst, lost_process
from service.tools.planning.partitions import (
    EVEN,
    MOST_A_PROCESS,
    PLANNED_BUSY,
    STRAINED_BUSY,
    busiest_share,
    group_rate,
    partitions_for,
    processes_for,
)
from service.tools.planning.workers import Worker, embedded_worker

PRICES = Prices(gpu_hour=2.5, core_hour=0.05, disk_gb_month=0.08)
WORKER = Worker("card", 100.0, "the GPU", cores=5, memory_gib=9.0, start_s=300.0, answer_s=0.3, has_gpu=True)

demands = st.builds(
    Demand,
    images_per_day=st.floats(1, 3e8),
    peak_factor=st.floats(1.05, 8),
    growth=st.floats(1, 4),
    may_fail=st.integers(0, 2),
)


@given(demands)
@settings(max_examples=50)
def test_there_are_never_more_processes_than_partitions(demand: Demand) -> None:
    plan = plan_capacity(demand, WORKER, PRICES, retention_days=3)
    assert plan.processes <= plan.partitions
    assert max(processes_by_hour(demand, WORKER, plan.partitions)) <= plan.processes


@given(demands)
@settings(max_examples=50)
def test_no_process_is_busier_than_planned_also_while_some_are_missing(demand: Demand) -> None:
    plan = plan_capacity(demand, WORKER, PRICES, retention_days=3)
    assert plan.busy <= PLANNED_BUSY + 1e-9
    left = plan.processes - demand.may_fail
    assert plan.peak_per_s * busiest_share(plan.partitions, left) <= STRAINED_BUSY * WORKER.images_per_s + 1e-6


@given(demands)
@settings(max_examples=50)
def test_partitions_last_for_the_growth_that_was_asked_for(demand: Demand) -> None:
    plan = plan_capacity(demand, WORKER, PRICES, retention_days=3)
    later = demand.curve.peak_per_s * demand.growth
    processes = processes_for(later, WORKER.images_per_s, plan.partitions)
    assert processes is not None
    assert processes <= plan.partitions


def test_partitions_are_numbers_that_many_counts_of_processes_share_evenly() -> None:
    assert partitions_for(0.1, 100, growth=2) == EVEN[0]
    assert partitions_for(2894, 127, growth=2) == 144
    assert partitions_for(1e6, 100, growth=2) % EVEN[-1] == 0


def test_a_process_with_one_partition_more_than_others_decides_for_all() -> None:
    assert busiest_share(12, 5) == pytest.approx(3 / 12)
    assert group_rate(12, 5, 100) == pytest.approx(400)
    assert group_rate(12, 6, 100) == pytest.approx(600)


def test_more_than_a_partition_each_is_no_help() -> None:
    assert processes_for(1000, 100, 12) is None
    with pytest.raises(TooManyError, match="12 partitions"):
        plan_capacity(Demand(1, may_fail=12), WORKER, PRICES, retention_days=3)


def test_at_night_no_process_gets_more_partitions_than_it_should_commit_for() -> None:
    plan = plan_capacity(Demand(1e8, may_fail=0), WORKER, PRICES, retention_days=3)
    assert plan.partitions / plan.processes_at_night <= MOST_A_PROCESS
    assert plan.processes_at_night < plan.processes


def test_cost_is_that_of_cards_and_brokers_and_less_when_processes_follow_the_day() -> None:
    cost = plan_capacity(Demand(1e8), WORKER, PRICES, retention_days=3).cost
    assert cost.scaled < cost.always_on
    assert cost.per_1000 == pytest.approx((cost.always_on + cost.brokers) / 3e9 * 1000)


def test_brokers_keep_three_copies_and_grow_with_what_is_kept() -> None:
    small = plan_capacity(Demand(1e6), WORKER, PRICES, retention_days=3).brokers
    large = plan_capacity(Demand(1e8, event_kb=800), WORKER, PRICES, retention_days=3).brokers
    assert (small.count, small.limited_by) == (3, "copies")
    assert large.limited_by == "disk"
    assert large.disk_gb == pytest.approx(1e8 * 3 * 802.5e3 / 1e9 * 3 / 0.7)


def test_the_object_store_sends_what_the_peak_asks_for() -> None:
    plan = plan_capacity(Demand(86_400 * 1000, peak_factor=2, image_kb=500), WORKER, PRICES, retention_days=3)
    assert plan.object_store_gbit_s == pytest.approx(2000 * 500e3 * 8 / 1e9)


def test_a_target_below_the_pipelines_own_time_is_called_missed() -> None:
    plans = [plan_capacity(Demand(1e6, target_s=s), WORKER, PRICES, retention_days=3) for s in (0.2, 30)]
    assert [plan.keeps_target for plan in plans] == [False, True]


@given(st.floats(1.05, 12), st.floats(0.01, 5000))
@settings(max_examples=50)
def test_a_day_has_the_average_and_the_peak_that_were_asked_for(factor: float, average: float) -> None:
    curve = DailyCurve(average, factor)
    rates = [curve.per_s(minute / 60) for minute in range(24 * 60)]
    assert sum(rates) / len(rates) == pytest.approx(average, rel=0.01)
    assert max(rates) == pytest.approx(average * factor)
    assert min(rates) > 0


def test_a_burst_grows_the_lag_by_what_is_not_judged_and_then_it_shrinks() -> None:
    group = Group(12, 4, 100.0)
    incident = burst(group, 100.0)
    assert incident.lag == (1000 - 400) * 600
    assert incident.longest_wait_s == incident.lag / 400
    assert incident.caught_up_s == incident.lag / 300
    assert burst(Group(24, 12, 100.0), 100.0).lag == 0


def test_without_its_only_process_a_group_waits_until_it_is_back() -> None:
    assert lost_process(Group(12, 1, 100.0), 50.0).longest_wait_s == 600
    assert lost_process(Group(12, 4, 100.0), 200.0).longest_wait_s < 30


def test_decoding_lies_on_the_lines_through_what_was_measured() -> None:
    assert decode_s(0.01) == decode_s(0.26)
    assert decode_s(2) == pytest.approx(1 / 47)
    assert decode_s(2) < decode_s(7) < decode_s(12) < decode_s(50)


def test_the_embedded_engine_needs_cores_and_no_card() -> None:
    worker = embedded_worker(2.0)
    plan = plan_capacity(Demand(1e7), worker, PRICES, retention_days=3)
    assert plan.gpus == 0
    assert plan.cost.always_on == pytest.approx(plan.cores * 0.05 * 720)
    assert embedded_worker(2.0, cores=8).images_per_s == pytest.approx(2 * worker.images_per_s)
    assert plan_capacity(Demand(1e7), replace(worker, has_gpu=True), PRICES, retention_days=3).gpus == plan.processes


def test_a_process_has_memory_for_the_dearest_picture_in_every_decoder() -> None:
    few, many = embedded_worker(2.0, cores=2), embedded_worker(2.0, cores=10)
    dearest_mib = 920  # docs/deploy.md
    assert many.memory_gib - few.memory_gib >= 8 * dearest_mib / 1024
