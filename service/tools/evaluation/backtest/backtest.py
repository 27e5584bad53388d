"""What a policy would have decided about stored verdicts, and what stored scores cannot say about it.

Decisions are those of `service.policy.judged.decide_image`, by the SQL of `policy_sql` in DuckDB. Four passes read the
columns that they need: scores into histograms, decided rows into groups, rows near thresholds, and the rows that are
listed. Memory is bounded by the number of groups and by what is listed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from duckdb import DuckDBPyConnection

from service.policy.policy import Policy
from service.tools.evaluation.backtest.change_groups import changes_by_category, changes_by_tenant
from service.tools.evaluation.backtest.decided_verdicts import decided
from service.tools.evaluation.backtest.near_thresholds import near_thresholds, nearest
from service.tools.evaluation.backtest.result import (
    DECISIONS,
    STORED_DECISIONS,
    BacktestResult,
    Cell,
    ImageChange,
    JudgingAgain,
    StoredPolicy,
    Unanswered,
)
from service.tools.evaluation.backtest.score_spread import distributions, histograms, rules_gone
from service.tools.evaluation.backtest.unanswered import open_questions
from service.tools.evaluation.backtest.verdict_groups import VerdictGroups, grouped

REVIEW_SECONDS = 30.0
"""A person's time for one image in review: an assumption, nothing was measured. `--review-seconds` changes it."""


@dataclass(frozen=True, slots=True)
class BacktestQuestion:
    """What is compared with what, and how much of it is listed."""

    policy: Policy
    baseline: Policy | None = None
    """Its decisions are those before; None takes the decisions that were stored."""
    known_policies: tuple[Policy, ...] = ()
    """Policies that may have decided the stored verdicts; their hashes say which did."""
    tenants: Collection[str] = field(default_factory=frozenset)
    """Only their verdicts count; all if none is named."""
    stored_by: Collection[str] = field(default_factory=frozenset)
    """Names of policies: only verdicts that they decided count; all if none is named."""
    calibration_file: str | None = None
    """What the service will name as the calibration file in verdicts; None for none."""
    review_seconds: float = REVIEW_SECONDS
    examples: int = 12
    """The most images that a cell of the matrix lists; a third of it for each unanswered question."""
    groups: int = 20
    """The most tenants, and the most categories, that are listed by themselves."""
    near: int = 2
    """The most images that are listed on each side of each threshold."""


def backtest(connection: DuckDBPyConnection, question: BacktestQuestion) -> BacktestResult:
    """Decide again about the view `verdicts` of `opened_verdicts`, which has columns for the policies' categories.

    Raises `StoredScoresError` for a score that is no probability.
    """
    policy, baseline = question.policy, question.baseline
    verdicts = decided(
        connection.view("verdicts"),
        policy,
        baseline=baseline,
        tenants=question.tenants,
        stored_by=question.stored_by,
    )
    spread = histograms(verdicts)
    groups = grouped(connection, verdicts, open_questions(policy, question.calibration_file), drawn=question.examples)
    near = nearest(verdicts, spread, question.near)
    listed = _Listed.of(groups, question.examples)
    images = verdicts.images(listed.keys | {key for each in near for key in each.keys})
    totals, stored, again = groups.totals(), groups.stored_policies(), groups.images_to_judge_again()
    rules_before = _rules_before(question, stored)
    return BacktestResult(
        policy_name=policy.name,
        policy_version=policy.version,
        policy_hash=policy.hash,
        baseline=f"{baseline.name}, version {baseline.version}" if baseline else STORED_DECISIONS,
        images=totals.images,
        not_moderated=totals.not_moderated,
        first_at=totals.first_at,
        last_at=totals.last_at,
        stored_policies=stored,
        matrix=_matrix(groups, listed, images, policy),
        categories=changes_by_category(groups, question.groups),
        tenants=changes_by_tenant(groups, question.groups),
        near=near_thresholds(near, images),
        distributions=distributions(policy, spread, rules_before),
        rules_gone=rules_gone(policy, rules_before),
        unanswered=_unanswered(groups, listed, images),
        again=JudgingAgain(again) if again else None,
        review_seconds=question.review_seconds,
    )


@dataclass(frozen=True, slots=True)
class _Listed:
    """The keys of the rows that are listed as examples."""

    by_cell: Mapping[tuple[str, str], Sequence[int]]
    by_question: Sequence[Sequence[int]]

    @classmethod
    def of(cls, groups: VerdictGroups, examples: int) -> "_Listed":
        return cls(groups.drawn_by_cell(examples), groups.drawn_by_question(max(1, examples // 3)))

    @property
    def keys(self) -> set[int]:
        return {key for keys in (*self.by_cell.values(), *self.by_question) for key in keys}


def _rules_before(question: BacktestQuestion, stored: Iterable[StoredPolicy]) -> Sequence[Policy] | None:
    """Return the policies that decided before; None if one of them is not known."""
    if question.baseline is not None:
        return (question.baseline,)
    known = {policy.hash: policy for policy in question.known_policies}
    hashes = [each.hash for each in stored]
    return [known[each] for each in hashes] if known.keys() >= set(hashes) else None


def _matrix(
    groups: VerdictGroups, listed: _Listed, images: Mapping[int, ImageChange], policy: Policy
) -> tuple[Cell, ...]:
    """Return all cells; of the images of a cell, the nearest to a threshold come first."""
    found = groups.cells()
    return tuple(
        Cell(
            before, after, found.get((before, after), 0), tuple(sorted(drawn, key=lambda each: _distance(policy, each)))
        )
        for before in DECISIONS
        for after in DECISIONS
        for drawn in ([images[key] for key in listed.by_cell.get((before, after), ())],)
    )


def _unanswered(groups: VerdictGroups, listed: _Listed, images: Mapping[int, ImageChange]) -> tuple[Unanswered, ...]:
    """Return the questions that occur, with the number of images, and some of them."""
    return tuple(
        Unanswered(
            kind=each.kind,
            category=each.category,
            detail=each.detail,
            images=number,
            examples=tuple(images[key] for key in keys),
            is_answered_by_judging=each.is_answered_by_judging,
        )
        for each, number, keys in zip(groups.questions, groups.open_images(), listed.by_question, strict=True)
        if number
    )


def _distance(policy: Policy, image: ImageChange) -> float:
    """Return how far an image is from the nearest threshold of the category that decides about it."""
    name = image.category_after or image.category_before or ""
    rule, score = policy.categories.get(name), image.scores.get(name)
    if rule is None or score is None:
        return 1.0
    return min((abs(score - threshold) for _, threshold in rule.thresholds()), default=1.0)
