"""The simulation of a group: nothing is lost or judged twice, and more processes are never worse."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.tools.planning.incidents import REBALANCE_S, Group, burst, lost_process
from service.tools.planning.simulation.arrivals import Burst
from service.tools.planning.simulation.fleet import Backlog, Fleet, FleetSettings, Loss, Sample, share_out, take_in_turn
from service.tools.planning.simulation.scaler import CHART_DOWN, CHART_UP, Scaler, ScalerSettings

GROUP = FleetSettings(partitions=24, processes=4, images_per_s=100.0, start_s=60.0, tick_s=1.0)


def longest_wait_s(samples: Sequence[Sample]) -> float:
    return max(wait_s for sample in samples for wait_s, _ in sample.waits)


@given(st.integers(1, 30), st.floats(0, 800), st.booleans())
@settings(max_examples=15)
def test_all_that_arrives_is_judged_or_waits(processes: int, per_s: float, loses: bool) -> None:
    losses = [Loss(at_s=20.0, for_s=40.0)] if loses else []
    fleet = Fleet(replace(GROUP, processes=min(processes, 24)), Burst(lambda _: per_s, 3, 10, 20), losses=losses)
    samples = fleet.run(120.0)
    offered, judged = (sum(getattr(sample, name) for sample in samples) for name in ("offered", "judged"))
    assert judged + samples[-1].lag == pytest.approx(offered)


def test_no_tick_judges_more_than_its_processes_can() -> None:
    samples = Fleet(GROUP, lambda _: 1000.0).run(60.0)
    assert max(sample.judged for sample in samples) == pytest.approx(400.0)


def test_more_processes_are_never_worse() -> None:
    load = Burst(lambda _: 150.0, 4, 30, 60)
    waits = [longest_wait_s(Fleet(replace(GROUP, processes=count), load).run(600.0)) for count in (2, 3, 4, 6, 12, 24)]
    assert waits == sorted(waits, reverse=True)
    assert waits[-1] < 1


def test_a_burst_comes_to_what_the_closed_form_says() -> None:
    reported = burst(Group(24, 4, 100.0), 100.0)
    fleet = Fleet(GROUP, Burst(lambda _: 100.0, 10, 60, 600))
    samples = fleet.run(3600.0)
    assert max(sample.lag for sample in samples) == pytest.approx(reported.lag, rel=0.01)
    assert longest_wait_s(samples) == pytest.approx(reported.longest_wait_s, rel=0.01)
    caught_up_s = next(sample.at_s for sample in samples if sample.at_s > 670 and sample.lag < 100)
    assert caught_up_s - 660 == pytest.approx(reported.caught_up_s, rel=0.02)


def test_a_lost_process_comes_to_what_the_closed_form_says() -> None:
    reported = lost_process(Group(24, 4, 100.0), 250.0)
    fleet = Fleet(GROUP, lambda _: 250.0, losses=[Loss(60.0, 600.0)])
    samples = fleet.run(1200.0)
    assert fleet.rebalances == 1 + 2
    assert longest_wait_s(samples) == pytest.approx(reported.longest_wait_s, abs=2.0)
    assert max(sample.lag for sample in samples) == pytest.approx(reported.lag, rel=0.15)


def test_a_rebalance_stops_all_processes_for_its_time() -> None:
    scaler = Scaler(ScalerSettings(lag_threshold=1.0, least=5, most=5))
    samples = Fleet(replace(GROUP, start_s=10.0), lambda _: 100.0, scaler=scaler).run(60.0)
    idle = [sample for sample in samples if sample.judged == 0]
    assert len(idle) == REBALANCE_S


def test_partitions_with_less_leave_their_turn_to_others() -> None:
    backlogs = [Backlog(), Backlog(), Backlog()]
    for backlog, images in zip(backlogs, (1.0, 10.0, 10.0), strict=True):
        backlog.add(0.0, images)
    assert sum(count for _, count in take_in_turn(backlogs, 9.0)) == pytest.approx(9.0)
    assert [backlog.images for backlog in backlogs] == pytest.approx([0.0, 6.0, 6.0])


@given(st.integers(1, 60), st.sets(st.integers(0, 20), min_size=1), st.sets(st.integers(0, 20), min_size=1))
def test_partitions_are_shared_evenly_and_stay_where_they_can(
    partitions: int, before: set[int], after: set[int]
) -> None:
    first = share_out(partitions, sorted(before), {})
    then = share_out(partitions, sorted(after), first)
    assert sorted(partition for share in then.values() for partition in share) == list(range(partitions))
    sizes = [len(share) for share in then.values()]
    assert max(sizes) - min(sizes) <= 1
    if before == after:
        assert then == first


def test_no_process_shares_nothing() -> None:
    assert share_out(6, [], {0: [1, 2]}) == {}


def test_a_scaler_keeps_between_its_bounds_and_takes_away_late() -> None:
    scaler = Scaler(ScalerSettings(lag_threshold=100.0, least=2, most=8))
    assert scaler.wanted(0, 100_000, 0, 2) == 6  # four more at a time
    assert scaler.wanted(15, 100_000, 0, 6) == 8
    assert scaler.wanted(30, 0, 0, 8) == 8
    assert scaler.wanted(320, 0, 0, 8) == 2


def test_a_scaler_changes_nothing_for_a_tenth() -> None:
    scaler = Scaler(ScalerSettings(lag_threshold=100.0, least=1, most=50))
    assert scaler.wanted(0, 2150, 0, 20) == 20


def test_the_larger_of_two_triggers_counts() -> None:
    scaler = Scaler(ScalerSettings(lag_threshold=100.0, least=1, most=50, rate_threshold=10.0))
    assert scaler.wanted(0, 0, 65, 4) == 7


def test_the_charts_policies_change_little_at_a_time_and_wait_in_between() -> None:
    scaler = Scaler(ScalerSettings(lag_threshold=100.0, least=1, most=50, up=CHART_UP, down=CHART_DOWN))
    assert scaler.wanted(0, 10_000, 0, 4) == 8
    assert scaler.wanted(15, 10_000, 0, 8) == 8
    assert scaler.wanted(60, 10_000, 0, 8) == 12
    assert scaler.wanted(75, 0, 0, 12) == 12
    assert scaler.wanted(700, 0, 0, 12) == 11
    assert scaler.wanted(715, 0, 0, 11) == 11
    assert scaler.wanted(820, 0, 0, 11) == 10


def test_a_moment_of_lag_starts_nothing_where_the_chart_looks_back() -> None:
    scaler = Scaler(ScalerSettings(lag_threshold=100.0, least=1, most=50, up=CHART_UP, down=CHART_DOWN))
    assert scaler.wanted(0, 400, 0, 4) == 4
    assert scaler.wanted(15, 10_000, 0, 4) == 4
    assert scaler.wanted(60, 10_000, 0, 4) == 8
