"""The cheapest thresholds are those that trying all of them finds, and the bill is that of other images."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.tools.evaluation.thresholds.costs import (
    NEVER,
    LabelledImages,
    Limits,
    Prices,
    Thresholds,
    bill,
    cheapest,
    decisions,
    solve_all,
)

PRICES = Prices(false_allow=50.0, false_block=5.0, review_minute=1.0, review_seconds=30.0)
BOTH = Limits(may_review=True, may_block=True)
GRID = [step / 4 for step in range(1, 5)]


def images_of(scores: dict[str, list[float]], harmful: list[bool]) -> LabelledImages:
    return LabelledImages(
        {name: np.array(values) for name, values in scores.items()}, np.array(harmful), np.ones(len(harmful))
    )


def cost(images: LabelledImages, thresholds: dict[str, Thresholds]) -> float:
    decided = decisions(images, thresholds)
    return float(PRICES.of(images.harmful)[np.arange(len(decided)), decided].sum())


@given(st.lists(st.tuples(st.sampled_from((0.0, 0.25, 0.5, 0.75, 1.0)), st.booleans()), min_size=1, max_size=12))
@settings(deadline=None)
def test_one_category_is_solved_as_trying_every_pair_would(rows: list[tuple[float, bool]]) -> None:
    images = images_of({"weapons": [score for score, _ in rows]}, [harm for _, harm in rows])
    found = solve_all(images, {"weapons": BOTH}, {"weapons": Thresholds(1.0, 1.0)}, PRICES)
    pairs = [Thresholds(low, high) for low, high in product(GRID, GRID) if low <= high]
    assert found["weapons"].review <= found["weapons"].block
    assert cost(images, dict(found)) == pytest.approx(min(cost(images, {"weapons": pair}) for pair in pairs))


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_two_categories_never_cost_more_than_before(seed: int) -> None:
    rng = np.random.default_rng(seed)
    harmful = rng.random(60) < 0.4
    scores = {name: np.clip(rng.random(60) * 0.7 + 0.3 * harmful, 0, 1).tolist() for name in ("weapons", "violence")}
    images = images_of(scores, harmful.tolist())
    present = {"weapons": Thresholds(0.4, 0.8), "violence": Thresholds(0.5, 0.9)}
    found = dict(solve_all(images, dict.fromkeys(present, BOTH), present, PRICES))
    assert cost(images, found) <= cost(images, present)
    assert all(each.review <= each.block for each in found.values())


def test_categories_that_flag_the_same_harmless_images_are_raised_together() -> None:
    """No change of one alone has a gain, because the other one still flags the images."""
    scores = [0.5] * 8 + [0.75]
    images = images_of({"weapons": scores, "violence": scores}, [False] * 8 + [True])
    present = dict.fromkeys(images.scores, Thresholds(0.25, 0.4))
    found = dict(solve_all(images, dict.fromkeys(present, BOTH), present, PRICES))
    assert cost(images, found) == 0.0


def test_a_category_whose_change_has_no_gain_stays_as_it_is() -> None:
    images = images_of({"weapons": [0.25, 0.75], "violence": [0.0, 0.0]}, [False, True])
    present = {"weapons": Thresholds(1.0, 1.0), "violence": Thresholds(0.5, 0.9)}
    found = solve_all(images, dict.fromkeys(present, BOTH), present, PRICES)
    assert found["violence"] == present["violence"]
    assert found["weapons"] != present["weapons"]


def test_limits_of_the_policy_hold() -> None:
    rng = np.random.default_rng(0)
    harmful = rng.random(400) < 0.5
    scores = {name: (0.8 * harmful + 0.2 * rng.random(400)).tolist() for name in ("child_safety", "weapons", "alcohol")}
    images = images_of(scores, harmful.tolist())
    limits = {"child_safety": Limits(may_review=True, may_block=True, max_review=0.5), "weapons": Limits(True, False)}
    present = {name: Thresholds(0.3, NEVER) for name in scores}
    found = solve_all(images, limits, present, PRICES)
    assert found["child_safety"].review <= 0.5
    assert found["weapons"].block == NEVER
    assert found["alcohol"] == present["alcohol"]


def test_the_bill_is_that_of_images_without_a_part_in_the_solution() -> None:
    """Scores that say nothing can be fitted, and cost as much as ever on other images."""
    rng = np.random.default_rng(0)
    harmful = rng.random(300) < 0.1
    images = images_of({"weapons": rng.random(300).tolist()}, harmful.tolist())
    prices = Prices(false_allow=10.0, false_block=10.0, review_minute=2.0)
    present = {"weapons": Thresholds(0.0001, 1.0)}
    found = cheapest(images, {"weapons": BOTH}, present, prices, volume=300, seed=0)
    fitted = bill(images, decisions(images, found.thresholds), prices, volume=300, seed=0)
    assert fitted.cost < found.before.cost
    assert found.after.cost >= 0.95 * found.before.cost


def test_a_bill_counts_by_weight_and_volume() -> None:
    images = images_of({"weapons": [0.9, 0.5, 0.1]}, [False, False, True])
    images = replace(images, weights=np.array([1.0, 1.0, 2.0]))
    found = bill(images, decisions(images, {"weapons": Thresholds(0.4, 0.8)}), PRICES, volume=4_000, seed=0)
    assert found.cost == pytest.approx(1_000 * 5.0 + 1_000 * 0.5 + 2_000 * 50.0)
    assert found.reviewed == pytest.approx(1_000)
    assert found.review_hours == pytest.approx(1_000 * 30 / 3600)
    assert found.low <= found.cost <= found.high


def test_prices_are_read() -> None:
    found = Prices.parse("false_allow=50, false_block=2.5,review_minute=0", review_seconds=20.0)
    assert found == Prices(50.0, 2.5, 0.0, 20.0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "false_allow=1",
        "false_allow=1,false_block=2,review_minute=3,more=4",
        "false_allow=-1,false_block=2,review_minute=3",
        "false_allow=nan,false_block=2,review_minute=3",
        "false_allow=1,false_allow=1,false_block=2,review_minute=3",
    ],
)
def test_other_texts_are_no_prices(text: str) -> None:
    with pytest.raises(ValueError, match=r"price|PRICE"):
        Prices.parse(text, review_seconds=30.0)
