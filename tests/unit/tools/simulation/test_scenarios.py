"""Scenarios of a small deployment from end to end, and their pictures."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from service.tools.planning.simulation.overview import Case, plan_case
from service.tools.planning.simulation.pictures import draw, draw_agreement
from service.tools.planning.simulation.scenarios import DAY_S, Result, latencies_of, play, scenarios

INSIDE_S = (0.2, 0.3, 0.4, 0.9)
TARGET_S = 30.0


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    plan = plan_case(Case(1e7, "H100"))
    return {each.name: play(each, INSIDE_S, TARGET_S) for each in scenarios(plan, inside_s=0.45)}


def judged(result: Result) -> float:
    return sum(sample.judged for sample in result.samples)


def test_a_day_has_its_images(results: dict[str, Result]) -> None:
    assert judged(results["day"]) == pytest.approx(1e7, rel=0.001)
    assert results["day"].within_target == pytest.approx(1.0)
    assert results["day"].longest_s == pytest.approx(max(INSIDE_S), abs=0.05)


def test_a_scaled_day_costs_less_and_is_never_above_the_partitions(results: dict[str, Result]) -> None:
    day, scaled = results["day"], results["day-scaled"]
    assert day.process_hours == pytest.approx(4 * DAY_S / 3600, rel=0.001)
    assert scaled.process_hours < day.process_hours
    assert scaled.most_processes <= scaled.scenario.settings.partitions
    assert scaled.utilisation > day.utilisation


def test_a_burst_misses_the_target_and_a_lost_process_keeps_it(results: dict[str, Result]) -> None:
    assert results["burst"].within_target < 0.7
    assert results["lost"].within_target == pytest.approx(1.0)
    assert 15 < results["lost"].longest_s < TARGET_S


def test_latencies_are_waits_and_what_happens_inside(results: dict[str, Result]) -> None:
    result = results["lost"]
    latencies = latencies_of(result.samples, INSIDE_S)
    assert sum(latencies.values()) == pytest.approx(judged(result))
    assert min(latencies) == pytest.approx(min(INSIDE_S), abs=0.02)


def test_pictures_are_drawn(results: dict[str, Result], tmp_path: Path) -> None:
    result = results["lost"]
    short = replace(result, samples=result.samples[:600])
    assert draw(short, INSIDE_S, TARGET_S, tmp_path).stat().st_size > 1000
    pairs: Sequence[tuple[float, float]] = [(0.0, 1.0), (1.0, 2.0)]
    draw_agreement(pairs, pairs, tmp_path / "agreement.png")
    assert (tmp_path / "agreement.png").stat().st_size > 1000
