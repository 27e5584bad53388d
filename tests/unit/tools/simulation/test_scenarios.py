"""Scenarios of a small deployment from end to end, and their pictures."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from service.tools.planning.simulation.overview import Case, plan_case
from service.tools.planning.simulation.scenarios import DAY_S, Result, latencies_of, play, scenarios

INSIDE_S = (0.2, 0.3, 0.4, 0.9)
TARGET_S = 30.0


@functools.cache
def played(name: str) -> Result:
    """Play a scenario once for all tests; days in longer ticks, which are as good for what is asked here."""
    scenario = {each.name: each for each in scenarios(plan_case(Case(1e7, "H100")), inside_s=0.45)}[name]
    tick_s = max(scenario.settings.tick_s, scenario.duration_s / 4000)
    return play(replace(scenario, settings=replace(scenario.settings, tick_s=tick_s)), INSIDE_S, TARGET_S)


def judged(result: Result) -> float:
    return sum(sample.judged for sample in result.samples)


def test_a_day_has_its_images() -> None:
    assert judged(played("day")) == pytest.approx(1e7, rel=0.001)
    assert played("day").within_target == pytest.approx(1.0)
    assert played("day").longest_s == pytest.approx(max(INSIDE_S), abs=0.05)


def test_a_scaled_day_costs_less_and_is_never_above_the_partitions() -> None:
    day, scaled = played("day"), played("day-scaled")
    assert day.process_hours == pytest.approx(4 * DAY_S / 3600, rel=0.001)
    assert scaled.process_hours < day.process_hours
    assert scaled.most_processes <= scaled.scenario.settings.partitions
    assert scaled.utilisation > day.utilisation


def test_a_burst_misses_the_target_and_a_lost_process_keeps_it() -> None:
    assert played("burst").within_target < 0.7
    assert played("lost").within_target == pytest.approx(1.0)
    assert 15 < played("lost").longest_s < TARGET_S


def test_latencies_are_waits_and_what_happens_inside() -> None:
    result = played("lost")
    latencies = latencies_of(result.samples, INSIDE_S)
    assert sum(latencies.values()) == pytest.approx(judged(result))
    assert min(latencies) == pytest.approx(min(INSIDE_S), abs=0.02)


def test_pictures_are_drawn(tmp_path: Path) -> None:
    from service.tools.planning.simulation.pictures import draw, draw_agreement  # noqa: PLC0415 - imports matplotlib

    result = played("lost")
    short = replace(result, samples=result.samples[:600])
    assert draw(short, INSIDE_S, TARGET_S, tmp_path).stat().st_size > 1000
    pairs: Sequence[tuple[float, float]] = [(0.0, 1.0), (1.0, 2.0)]
    draw_agreement(pairs, pairs, tmp_path / "agreement.png")
    assert (tmp_path / "agreement.png").stat().st_size > 1000
