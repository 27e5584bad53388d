"""Pure: the thresholds with the lowest bill for wrong decisions and reviews, and what that bill is.

An image is harmful if it shows a category that the policy may send to review or block. Allowing it costs
`false_allow`; blocking another one costs `false_block`; a review costs its minutes and is taken to be right. The bill
of one category's two thresholds is a sum over the images below, between and above them, so that the best pair follows
from running sums; the categories are solved in turn until none changes, from several starts. The bill is stated for
images that had no part in the solution: thresholds are solved five times, each without one fifth of the images, and
applied to that fifth.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import KFold

from service.tools.evaluation.quality.calibration_error import Flags, Floats
from service.tools.evaluation.thresholds.ranking import shortest_between

ALLOW, REVIEW, BLOCK = 0, 1, 2

_MAX_ROUNDS = 20
"""The bill falls with every change, and thresholds are finitely many; two or three rounds are usual."""
_FOLDS = 5
_RESAMPLES = 2_000
NEVER = float("inf")
"""The threshold of an outcome that a category does not have."""

CostTable = NDArray[np.float64]
"""What each decision costs for each image, shape (images, 3)."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What decisions cost, in one currency."""

    false_allow: float
    """A harmful image that is allowed."""
    false_block: float
    """A harmless image that is blocked."""
    review_minute: float
    """A minute of a person's time."""
    review_seconds: float = 30.0
    """The time that one image takes."""

    @classmethod
    def parse(cls, text: str, *, review_seconds: float) -> "Prices":
        """Return the prices of a text such as `false_allow=50,false_block=2,review_minute=0.5`.

        Raises `ValueError` for another text.
        """
        parts = [part.partition("=") for part in text.split(",")]
        given = {name.strip(): value.strip() for name, _, value in parts}
        wanted = ("false_allow", "false_block", "review_minute")
        if len(parts) != len(given) or given.keys() != {*wanted}:
            raise ValueError(f"give {', '.join(f'{name}=PRICE' for name in wanted)}, each once and nothing else")
        for name, value in given.items():
            if not re.fullmatch(r"\d{1,12}(\.\d{1,9})?", value):
                raise ValueError(f"{name}={value}: a price is a number of 0 or more")
        return cls(
            false_allow=float(given["false_allow"]),
            false_block=float(given["false_block"]),
            review_minute=float(given["review_minute"]),
            review_seconds=review_seconds,
        )

    def of(self, harmful: Flags) -> CostTable:
        """Return what each decision costs for each image."""
        costs = np.zeros((len(harmful), 3))
        costs[:, ALLOW] = np.where(harmful, self.false_allow, 0.0)
        costs[:, REVIEW] = self.review_minute * self.review_seconds / 60.0
        costs[:, BLOCK] = np.where(harmful, 0.0, self.false_block)
        return costs


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Review and block of one category; `NEVER` for an outcome that it does not have."""

    review: float
    block: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What the policy allows for a category."""

    may_review: bool
    may_block: bool
    """False where the policy has no threshold for block, and for an engine's hints."""
    max_review: float = 1.0


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Scores and truth of whole images."""

    scores: Mapping[str, Floats]
    """By category, each of the shape (images,); -1 where the engine has no score."""
    harmful: Flags
    weights: Floats

    def part(self, chosen: NDArray[np.int64]) -> "LabelledImages":
        """Return the images at these places."""
        scores = {name: values[chosen] for name, values in self.scores.items()}
        return LabelledImages(scores, self.harmful[chosen], self.weights[chosen])


@dataclass(frozen=True, slots=True)
class Bill:
    """The expected cost of a number of images, with its 95 % interval."""

    images: int
    cost: float
    low: float
    high: float
    reviewed: float
    """Images that are sent to review."""
    review_hours: float


@dataclass(frozen=True, slots=True)
class Cheapest:
    """The cheapest thresholds, and the bills with them and with those that the policy has."""

    thresholds: Mapping[str, Thresholds]
    before: Bill
    after: Bill
    """Each image by thresholds that were solved without it."""


def cheapest(
    images: LabelledImages,
    limits: Mapping[str, Limits],
    present: Mapping[str, Thresholds],
    prices: Prices,
    *,
    volume: int,
    seed: int,
) -> Cheapest:
    """Return the thresholds with the lowest bill; `volume` images are billed."""
    solved = solve_all(images, limits, present, prices)
    decided = np.empty(len(images.harmful), dtype=np.int64)
    for known, held_out in KFold(_FOLDS, shuffle=True, random_state=seed).split(images.harmful):
        thresholds = solve_all(images.part(known), limits, present, prices)
        decided[held_out] = decisions(images.part(held_out), thresholds)
    before = bill(images, decisions(images, present), prices, volume=volume, seed=seed)
    return Cheapest(solved, before, bill(images, decided, prices, volume=volume, seed=seed))


def solve_all(
    images: LabelledImages, limits: Mapping[str, Limits], present: Mapping[str, Thresholds], prices: Prices
) -> Mapping[str, Thresholds]:
    """Return the thresholds with the lowest bill that is found for these images.

    Where two categories flag the same images, no change of one alone has a gain. So the search also starts from the
    highest thresholds, in both orders of the categories. The present ones stay where that finds nothing better.
    """
    costs = prices.of(images.harmful) * images.weights[:, None]
    highest = {**present, **{name: _highest(limit) for name, limit in limits.items()}}
    backwards = dict(reversed([*limits.items()]))
    found = [
        _descended(images, order, start, costs)
        for order, start in ((limits, present), (limits, highest), (backwards, highest))
    ]
    best = min(found, key=lambda each: _total(images, each, costs))
    return _without_idle_changes(images, best, present, costs)


def _highest(limit: Limits) -> Thresholds:
    """Return the thresholds that flag the fewest images."""
    return Thresholds(limit.max_review if limit.may_review else NEVER, 1.0 if limit.may_block else NEVER)


def _descended(
    images: LabelledImages, limits: Mapping[str, Limits], start: Mapping[str, Thresholds], costs: CostTable
) -> Mapping[str, Thresholds]:
    """Return thresholds whose bill falls with no change of one category."""
    solved = dict(start)
    decided = {name: decide(images.scores[name], each) for name, each in start.items()}
    for _ in range(_MAX_ROUNDS):
        before = dict(solved)
        for name, limit in limits.items():
            others = _gravest([decided[other] for other in start if other != name], len(images.harmful))
            found = _best_pair(images.scores[name], _from(costs, others), limit)
            # Equal bills keep what there is: no threshold moves without a gain.
            gains = _cost(costs, others, images.scores[name], found) < _cost(
                costs, others, images.scores[name], solved[name]
            )
            if gains:
                solved[name] = found
                decided[name] = decide(images.scores[name], found)
        if solved == before:
            break
    return solved


def _without_idle_changes(
    images: LabelledImages, solved: Mapping[str, Thresholds], present: Mapping[str, Thresholds], costs: CostTable
) -> Mapping[str, Thresholds]:
    """Return thresholds of the same bill, with the present ones of every category whose change has no gain."""
    kept = dict(solved)
    lowest = _total(images, solved, costs)
    for name, each in present.items():
        if _total(images, kept | {name: each}, costs) <= lowest:
            kept[name] = each
    return kept


def _total(images: LabelledImages, thresholds: Mapping[str, Thresholds], costs: CostTable) -> float:
    return float(costs[np.arange(len(costs)), decisions(images, thresholds)].sum())


def decide(scores: Floats, thresholds: Thresholds) -> NDArray[np.int64]:
    """Return the decision of one category for each image."""
    block = scores >= thresholds.block
    return np.where(block, BLOCK, np.where(scores >= thresholds.review, REVIEW, ALLOW))


def decisions(images: LabelledImages, thresholds: Mapping[str, Thresholds]) -> NDArray[np.int64]:
    """Return the gravest decision for each image."""
    return _gravest([decide(images.scores[name], each) for name, each in thresholds.items()], len(images.harmful))


def bill(images: LabelledImages, decided: NDArray[np.int64], prices: Prices, *, volume: int, seed: int) -> Bill:
    """Return the bill of a volume of images like these, with an interval by bootstrap."""
    each = prices.of(images.harmful)[np.arange(len(decided)), decided]
    rng = np.random.default_rng(seed)
    shares = images.weights / images.weights.sum()
    reviewed = float(shares @ (decided == REVIEW)) * volume
    drawn = [_resampled_mean(each, images.weights, rng) for _ in range(_RESAMPLES)]
    low, high = np.quantile(drawn, [0.025, 0.975]) * volume
    hours = reviewed * prices.review_seconds / 3600.0
    return Bill(volume, float(shares @ each) * volume, float(low), float(high), reviewed, hours)


def _resampled_mean(costs: Floats, weights: Floats, rng: np.random.Generator) -> float:
    drawn = rng.integers(0, len(costs), len(costs))
    return float(weights[drawn] @ costs[drawn] / weights[drawn].sum())


def _gravest(decided: Sequence[NDArray[np.int64]], images: int) -> NDArray[np.int64]:
    return np.asarray(np.max([np.zeros(images, dtype=np.int64), *decided], axis=0), dtype=np.int64)


def _from(costs: CostTable, others: NDArray[np.int64]) -> CostTable:
    """Return what each decision of one category costs where other categories have decided at least `others`."""
    rows = np.arange(len(others))
    return np.stack([costs[rows, np.maximum(decision, others)] for decision in (ALLOW, REVIEW, BLOCK)], axis=1)


def _cost(costs: CostTable, others: NDArray[np.int64], scores: Floats, thresholds: Thresholds) -> float:
    return float(costs[np.arange(len(scores)), np.maximum(others, decide(scores, thresholds))].sum())


def _best_pair(scores: Floats, costs: CostTable, limit: Limits) -> Thresholds:
    """Return the cheapest thresholds of one category, by running sums over the images in the order of their scores."""
    order = np.argsort(scores, kind="stable")
    ranked, sums = scores[order], np.vstack([np.zeros(3), np.cumsum(costs[order], axis=0)])
    places = _places(ranked)
    at_review = sums[places, ALLOW] - sums[places, REVIEW]
    at_block = sums[places, REVIEW] - sums[places, BLOCK]
    if not limit.may_review:
        place = int(places[np.argmin(at_review + at_block)])
        return Thresholds(NEVER, _threshold(ranked, place))
    at_review = np.where(_below(ranked, places) < limit.max_review, at_review, np.inf)
    if not limit.may_block:
        return Thresholds(_threshold(ranked, int(places[np.argmin(at_review)]), limit.max_review), NEVER)
    # For each place of block, the best place of review up to it.
    block = int(np.argmin(at_block + np.minimum.accumulate(at_review)))
    review = int(np.argmin(at_review[: block + 1]))
    return Thresholds(_threshold(ranked, int(places[review]), limit.max_review), _threshold(ranked, int(places[block])))


def _places(ranked: Floats) -> NDArray[np.int64]:
    """Return where thresholds may stand, by the number of images below them: before each different score, and behind
    the last unless that is 1."""
    different = np.concatenate([[True], ranked[1:] > ranked[:-1]]) & (ranked > 0.0)
    behind = [len(ranked)] if ranked[-1] < 1.0 else []
    return np.append(np.flatnonzero(different), np.array(behind, dtype=np.int64))


def _below(ranked: Floats, places: NDArray[np.int64]) -> Floats:
    """Return the highest score below each place, and 0 where there is none."""
    return np.where(places > 0, np.maximum(ranked[np.maximum(places - 1, 0)], 0.0), 0.0)


def _threshold(ranked: Floats, place: int, cap: float = 1.0) -> float:
    """Return the shortest number at a place."""
    upper = float(ranked[place]) if place < len(ranked) else 1.0
    return shortest_between(float(_below(ranked, np.array([place]))[0]), min(upper, cap))
