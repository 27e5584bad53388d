"""How scores are spread: their bounds, and the distribution of those whose thresholds change."""

from collections.abc import Mapping, Sequence

from service.policy.policy import CategoryRule, Policy
from service.tools.evaluation.backtest.decided_verdicts import DecidedVerdicts
from service.tools.evaluation.backtest.result import ScoreDistribution
from service.tools.evaluation.backtest.unusable_scores import check_bounds
from service.tools.evaluation.stored.columns import MAX_FRAMES, score_columns

FINE_BINS = 1_000
"""Of a histogram: so fine that few scores share the bins about a threshold."""
_BINS = 50
"""Of a distribution: steps of 0.02, which is as finely as thresholds are set."""
_STEP = FINE_BINS // _BINS
_EDGES = tuple(number / _BINS for number in range(_BINS + 1))

Histogram = Sequence[int]
"""The number of scores in each bin."""


def histograms(verdicts: DecidedVerdicts) -> Mapping[str, Histogram]:
    """Return the histogram of each category of the policy: one pass over all scores, which decides nothing.

    Raises `StoredScoresError` if a score of a category with a rule lies outside of 0 to 1, or is NaN.
    """
    columns = [
        column
        for name in verdicts.ruled
        for column in score_columns(name)[: min(MAX_FRAMES, verdicts.policy.categories[name].frames)]
    ]
    bounds = (f'min("{column}"), max("{column}")' for column in columns)
    counted = (f"histogram({_bin(score)})" for score in verdicts.scores.values())
    (found,) = verdicts.stored.aggregate(", ".join((*bounds, *counted))).fetchall()
    for column, least, most in zip(columns, found[::2], found[1::2], strict=False):
        check_bounds(column, least, most)
    counts = found[2 * len(columns) :]
    return {
        name: [(bins or {}).get(number, 0) for number in range(FINE_BINS)]
        for name, bins in zip(verdicts.scores, counts, strict=True)
    }


def _bin(score: str) -> str:
    return f"CASE WHEN {score} BETWEEN 0 AND 1 THEN least(floor({score} * {FINE_BINS}), {FINE_BINS - 1})::INT END"


def distributions(
    policy: Policy, found: Mapping[str, Histogram], rules_before: Sequence[Policy] | None
) -> tuple[ScoreDistribution, ...]:
    """Return the scores of each category with other thresholds than before; None if the rules before are not known.

    Categories without a score are left out: there is nothing to see.
    """
    return tuple(
        ScoreDistribution(name, _EDGES, _coarse(counts), before or {}, after)
        for name, counts in found.items()
        for before, after in ((_before(name, rules_before), _thresholds(policy, name)),)
        if (before or after) and before != after and any(counts)
    )


def _coarse(counts: Histogram) -> tuple[int, ...]:
    return tuple(sum(counts[start : start + _STEP]) for start in range(0, FINE_BINS, _STEP))


def rules_gone(policy: Policy, rules_before: Sequence[Policy] | None) -> tuple[str, ...]:
    """Return the categories that a policy before could send to review or block, and the new policy cannot."""
    stopped = {name for each in rules_before or () for name, rule in each.categories.items() if _stops(rule)}
    return tuple(sorted(name for name in stopped if not _stops(policy.categories.get(name, CategoryRule()))))


def _stops(rule: CategoryRule) -> bool:
    return any(outcome != "label" for outcome, _ in rule.thresholds())


def _before(name: str, policies: Sequence[Policy] | None) -> Mapping[str, float] | None:
    """Return the thresholds before; None if they are not known, or policies differ in them."""
    found = [_thresholds(policy, name) for policy in policies or ()]
    return found[0] if found and all(each == found[0] for each in found) else None


def _thresholds(policy: Policy, name: str) -> Mapping[str, float]:
    return dict(policy.categories.get(name, CategoryRule()).thresholds())
