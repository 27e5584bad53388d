"""Compares what two engines or policies judged of the same labelled images."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.verdict import VerdictV1
from service.core.errors import FatalError
from service.policy.policy import Policy
from service.policy.taxonomy import NAMES
from service.telemetry.plain_text import one_line
from service.tools.evaluation.datasets.dataset import Dataset, Example
from service.tools.evaluation.quality.outcomes import Flags, Floats, JudgedExample, judged_example
from service.tools.evaluation.quality.paired import Difference, McNemar, PairedOutcomes, differences, holm, mcnemar
from service.tools.evaluation.quality.predictions import Prediction

PolicyOf = Callable[[Example], Policy]

_Pair = tuple[Prediction, Prediction]
_JudgedPair = tuple[JudgedExample, JudgedExample]

SIGNIFICANT = 0.05
"""A difference with a higher p-value is not called one."""

_MAX_NAMED = 3


class DifferentExamplesError(FatalError):
    """Two files of predictions are not about the same labelled images."""

    reason = "compare.different_examples"
    message = "{first} and {second} cannot be compared: {detail}; evaluate the same dataset and split twice"


@dataclass(frozen=True, slots=True)
class Side:
    """One of two that are compared."""

    name: str
    """As messages name it."""
    predictions: Sequence[Prediction]
    policy_of: PolicyOf


@dataclass(frozen=True, slots=True)
class ComparedCategory:
    """Both on one category."""

    category: str
    images: int
    """Images that both judged and whose labels are about the category."""
    positives: int
    test: McNemar
    p_corrected: float
    """The test's p-value by Holm's method, for as many tests as there are categories."""
    figures: Mapping[str, Difference]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both on everything that both judged."""

    first: str
    second: str
    images: int
    """Images that both judged."""
    not_judged: tuple[int, int]
    """Images that the first, and that the second did not judge; they are left out of everything else."""
    overall: McNemar
    """An image counts as right if its flagged categories are exactly those that it shows."""
    categories: tuple[ComparedCategory, ...]
    not_compared: tuple[str, ...]
    """Labelled categories that one of the two does not cover."""


def compare(first: Side, second: Side) -> Comparison:
    """Compare two sides; raise `DifferentExamplesError` unless they are about the same images with the same labels."""
    pairs = _pairs(first, second)
    judged = [*_judged(first, second, pairs)]
    if not judged:
        raise DifferentExamplesError(first=first.name, second=second.name, detail="no image was judged by both")
    dataset = Dataset(first.name, [a.example for a, _ in pairs])
    paired = {name: _paired(dataset, judged, name) for name in _in_order(dataset.labelled)}
    compared = {name: each for name, each in paired.items() if len(each.truth)}
    return Comparison(
        first.name,
        second.name,
        len(judged),
        (_not_judged(a for a, _ in pairs), _not_judged(b for _, b in pairs)),
        _overall(dataset, judged, frozenset(compared)),
        _categories(compared),
        tuple(name for name in paired if name not in compared),
    )


def sentence_of(found: Comparison) -> str:
    """Return what the test of whole images says."""
    test = found.overall
    counts = (
        f"of {found.images:,} images, {test.only_first:,} are labelled right by the first alone, and"
        f" {test.only_second:,} by the second alone"
    )
    if test.p_value >= SIGNIFICANT:
        return f"No difference is proven: {counts} (p = {test.p_value:.2f})"
    better = "first" if test.only_first > test.only_second else "second"
    return f"The {better} is better: {counts} (p = {test.p_value:.2g})"


def _in_order(categories: frozenset[str]) -> list[str]:
    """Return categories in the taxonomy's order, and others behind them by name."""
    return [*(name for name in NAMES if name in categories), *sorted(categories - {*NAMES})]


def _categories(compared: Mapping[str, PairedOutcomes]) -> tuple[ComparedCategory, ...]:
    tests = [mcnemar(*(flagged == each.truth for flagged in each.flagged)) for each in compared.values()]
    corrected = holm([test.p_value for test in tests])
    return tuple(
        ComparedCategory(name, len(each.truth), int(each.truth.sum()), test, p_value, differences(each))
        for (name, each), test, p_value in zip(compared.items(), tests, corrected, strict=True)
    )


def _pairs(first: Side, second: Side) -> list[_Pair]:
    """Return the predictions of both for each image; raise `DifferentExamplesError` if they do not belong together."""
    ours, theirs = _by_key(first), _by_key(second)
    both = [(each, theirs[key]) for key, each in ours.items() if key in theirs]
    faults = (
        _named("only in the first", (each for key, each in ours.items() if key not in theirs)),
        _named("only in the second", (each for key, each in theirs.items() if key not in ours)),
        _named("with other labels", (a for a, b in both if _labels(a) != _labels(b))),
        _named("with other contents", (a for a, b in both if a.key and b.key and a.key.sha256 != b.key.sha256)),
        _named("with a weight, which no paired test can respect", (a for a, _ in both if a.example.weight != 1.0)),
    )
    if detail := "; ".join(filter(None, faults)):
        raise DifferentExamplesError(first=first.name, second=second.name, detail=detail)
    return both


def _by_key(side: Side) -> dict[tuple[str, str], Prediction]:
    """Return predictions by tenant and image id; the last counts, as where an interrupted run was repeated."""
    return {(each.example.tenant, each.example.image_id): each for each in side.predictions}


def _labels(prediction: Prediction) -> tuple[frozenset[str], frozenset[str] | None]:
    return prediction.example.categories, prediction.example.labelled


def _named(fault: str, predictions: Iterable[Prediction]) -> str:
    """Return how many images have a fault, and some of them; empty if none has it."""
    found = [one_line(each.example.image_id, at_most=80) for each in predictions]
    return f"{len(found):,} images {fault}, such as {', '.join(found[:_MAX_NAMED])}" if found else ""


def _not_judged(predictions: Iterable[Prediction]) -> int:
    return sum(_verdict(each) is None for each in predictions)


def _verdict(prediction: Prediction) -> VerdictV1 | None:
    """Return the verdict of a model; None where there is none."""
    verdict = prediction.verdict
    return verdict if verdict is not None and verdict.status == "moderated" else None


def _judged(first: Side, second: Side, pairs: Iterable[_Pair]) -> Iterator[_JudgedPair]:
    """Decide again on both verdicts of each image that has two."""
    for a, b in pairs:
        ours, theirs = _verdict(a), _verdict(b)
        if ours is not None and theirs is not None:
            yield (
                judged_example(a.example, ours, first.policy_of(a.example)),
                judged_example(b.example, theirs, second.policy_of(b.example)),
            )


def _paired(dataset: Dataset, judged: Sequence[_JudgedPair], name: str) -> PairedOutcomes:
    """Return truth and judgements of the images whose labels are about a category that both engines cover."""
    known = [(a, b) for a, b in judged if dataset.is_about(a.example, name) and name in a.scores and name in b.scores]
    return PairedOutcomes(
        _flags(name in a.example.categories for a, _ in known),
        (_floats(a.scores[name] for a, _ in known), _floats(b.scores[name] for _, b in known)),
        (_flags(name in a.flagged for a, _ in known), _flags(name in b.flagged for _, b in known)),
    )


def _floats(values: Iterable[float]) -> Floats:
    return np.fromiter(values, np.float64)


def _flags(values: Iterable[bool]) -> Flags:
    return np.fromiter(values, np.bool_)


def _overall(dataset: Dataset, judged: Sequence[_JudgedPair], compared: frozenset[str]) -> McNemar:
    """Test images as wholes, of those whose labels are about every category that is compared."""
    whole = [pair for pair in judged if all(dataset.is_about(pair[0].example, name) for name in compared)]
    return mcnemar(_flags(_is_right(a, compared) for a, _ in whole), _flags(_is_right(b, compared) for _, b in whole))


def _is_right(judged: JudgedExample, compared: frozenset[str]) -> bool:
    return judged.flagged & compared == judged.example.categories & compared
