"""Pure: how well tags match the right ones: exactly, by their overlap, and attribute by attribute."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from service.tools.evaluation.quality.bootstrap import DEFAULT_RESAMPLES, DEFAULT_SEED, Figure, estimate
from service.tools.evaluation.quality.outcomes import Floats
from service.tools.evaluation.quality.predictions import Prediction


@dataclass(frozen=True, slots=True)
class TagMetrics:
    """The figures of one attribute, or of all together."""

    images: int
    figures: Mapping[str, Figure]
    """`exact`: share of images with exactly the right values; `overlap`: mean size of the intersection of both sets
    over that of their union (Jaccard)."""


@dataclass(frozen=True, slots=True)
class _Match:
    exact: float
    overlap: float
    weight: float


ALL = "all"
"""Stands for all attributes together: every one of an image has to be right."""


def tag_metrics(
    predictions: Iterable[Prediction], *, resamples: int = DEFAULT_RESAMPLES, seed: int = DEFAULT_SEED
) -> Mapping[str, TagMetrics]:
    """Return the figures of each attribute that the dataset has right values for, and of all together.

    An attribute without an answer is wrong; one that the engine answers for no image is undefined. An image without
    tags is left out, as it was not judged.
    """
    matches: dict[str, list[_Match]] = {}
    answered = {ALL}
    for each in predictions:
        if each.example.tags and each.tags is not None:
            seen = {name: {value.value for value in values} for name, values in each.tags.attributes.items()}
            answered |= {name for name, values in seen.items() if values}
            by_name = {
                name: _match(right, seen.get(name, set()), each.example.weight)
                for name, right in each.example.tags.items()
            }
            for name, match in [*by_name.items(), (ALL, _together([*by_name.values()]))]:
                matches.setdefault(name, []).append(match)
    missing = matches.keys() - answered if len(answered) > 1 else matches.keys()
    return {
        name: _unanswered(found) if name in missing else _metrics(found, resamples, seed)
        for name, found in sorted(matches.items())
    }


def _unanswered(matches: Sequence[_Match]) -> TagMetrics:
    return TagMetrics(
        len(matches), dict.fromkeys(("exact", "overlap"), Figure(undefined="the engine never answers it"))
    )


def _match(right: frozenset[str], seen: set[str], weight: float) -> _Match:
    union = right | seen
    return _Match(float(right == seen), len(right & seen) / len(union) if union else 1.0, weight)


def _together(matches: Sequence[_Match]) -> _Match:
    return _Match(
        min(each.exact for each in matches), float(np.mean([each.overlap for each in matches])), matches[0].weight
    )


def _metrics(matches: Sequence[_Match], resamples: int, seed: int) -> TagMetrics:
    # Equal matches are counted once, and a resample draws counts instead of images.
    rows, count = np.unique([(each.exact, each.overlap, each.weight) for each in matches], axis=0, return_counts=True)
    exact, overlap, weight = rows.T
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(matches), count / len(matches), size=resamples) * weight
    actual = count * weight
    size = float(actual.sum() ** 2 / (actual @ weight))
    return TagMetrics(
        len(matches),
        {"exact": _mean(exact, actual, drawn, trials=size), "overlap": _mean(overlap, actual, drawn, trials=size)},
    )


def _mean(values: Floats, actual: Floats, drawn: Floats, *, trials: float) -> Figure:
    """Return a weighted mean over images and its interval; overlaps are shares as well."""
    found = float(actual @ values / actual.sum())
    return estimate(found, drawn @ values / drawn.sum(axis=1), trials=trials, undefined="no image has right values")
