"""A policy's decision as one SQL expression over the columns of stored verdicts, the same for six systems.

The expressions say what `service.policy.judged.decide_image` computes: thresholds are inclusive, a hint is capped at
review, the gravest decision wins, then the widest margin over the threshold, then the policy's order of categories. A
category without a score has no opinion. Features in `ambiguous` count as the policy says; where a score calls for the
same decision, its category is named. A row whose status is `not_moderated`, and one without a score of any category
of the policy, is decided by `when_not_moderated`.

Every expression is a single pass without subqueries, so that it can stand in any SELECT, WHERE or GROUP BY. Its length
grows with the number of categories, not with their pairs. Rendered by `sql`; sqlglot quotes and escapes names.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from sqlglot import exp

from schemas.base import Decision
from service.policy.policy import AMBIGUOUS_DEFAULT, CategoryRule, Policy
from service.tools.evaluation.backtest.policy_sql_errors import LongColumnError
from service.tools.evaluation.stored.columns import score_columns

SqlDialect = Literal["duckdb", "spark", "trino", "bigquery", "clickhouse", "postgres"]
DIALECTS: tuple[SqlDialect, ...] = get_args(SqlDialect)

# PostgreSQL cuts longer names off without an error, and two that begin alike become one.
_MAX_POSTGRES_NAME_BYTES = 63
# A margin over a threshold is at least 0, so this one loses against every finding. GREATEST of a null is null in Trino
# and BigQuery, and ignored elsewhere; a number means the same everywhere.
_NO_FINDING = exp.Neg(this=exp.Literal.number("1e0"))


def decision(policy: Policy) -> exp.Expression:
    """Return the expression for the decision: 'allow', 'review' or 'block', never null."""
    case = exp.Case().when(_is_unjudged(policy), exp.Literal.string(policy.when_not_moderated))
    by_outcome: tuple[tuple[Decision, Sequence[exp.Condition]], ...] = (
        ("block", _blocks(policy)),
        ("review", _reviews(policy)),
    )
    for outcome, by_scores in by_outcome:
        if found := (*by_scores, *_ambiguities(policy, outcome)):
            case = case.when(exp.or_(*found, wrap=True), exp.Literal.string(outcome))
    return case.else_(exp.Literal.string("allow"))


def deciding_category(policy: Policy) -> exp.Expression:
    """Return the expression for the category that the decision rests on.

    It is null for allow, for unjudged rows, and where no score calls for what a feature in `ambiguous` does.
    """
    margins = _margins(policy)
    return _category(policy, {outcome: _clearest(each, _widest(each.values())) for outcome, each in margins.items()})


class CategorySteps(NamedTuple):
    """`deciding_category` in three steps; each one refers to the columns of the one before.

    A system that compares a CASE's operand anew for each WHEN also computes it anew: DuckDB takes five times as long
    for the single expression.
    """

    margins: Mapping[str, exp.Expression]
    widest: Mapping[str, exp.Expression]
    category: exp.Expression


def deciding_category_in_steps(policy: Policy, prefix: str) -> CategorySteps:
    """Return the steps with columns whose names begin with the prefix."""
    margins: dict[str, exp.Expression] = {}
    widest: dict[str, exp.Expression] = {}
    found: dict[Decision, exp.Expression] = {}
    for outcome, each in _margins(policy).items():
        columns = {name: f"{prefix}_{outcome}_{place}" for place, name in enumerate(each)}
        margins |= {columns[name]: margin for name, margin in each.items()}
        referred = {name: _column(column) for name, column in columns.items()}
        widest[f"{prefix}_{outcome}"] = _widest(referred.values())
        found[outcome] = _clearest(referred, _column(f"{prefix}_{outcome}"))
    return CategorySteps(margins, widest, _category(policy, found))


def _category(policy: Policy, clearest: Mapping[Decision, exp.Expression]) -> exp.Expression:
    """Return the clearest category for block, or else that for review."""
    block, review = clearest.get("block"), clearest.get("review")
    if review is not None and (blocked := _ambiguities(policy, "block")):
        review = exp.Case().when(exp.or_(*blocked, wrap=True), exp.Null()).else_(review)
    found = [category for category in (block, review) if category is not None]
    if not found:
        return exp.Null()
    category = exp.Coalesce(this=found[0], expressions=found[1:]) if len(found) > 1 else found[0]
    return exp.Case().when(_has_status_not_moderated(), exp.Null()).else_(category)


def score(policy: Policy, name: str) -> exp.Expression:
    """Return the score that a category is decided on: of its n-th highest frame, where a rule asks for n frames."""
    rule = policy.categories.get(name)
    first, *others = reversed([_column(column) for column in score_columns(name)[: rule.frames if rule else 1]])
    return exp.Coalesce(this=first, expressions=others) if others else first


def double(value: float) -> exp.Expression:
    """Return a literal that every dialect reads as exactly this double: one with an exponent is never a decimal."""
    text = repr(value + 0.0)  # minus zero, which compares as zero, becomes zero
    return exp.Literal.number(text if "e" in text else f"{text}e0")


def sql(expression: exp.Expression, dialect: SqlDialect, *, pretty: bool = True) -> str:
    """Render an expression; raise `LongColumnError` if the dialect would cut a column's name off."""
    if dialect == "postgres":
        for column in expression.find_all(exp.Column):
            if len(column.name.encode()) > _MAX_POSTGRES_NAME_BYTES:
                raise LongColumnError(column=column.name, limit=_MAX_POSTGRES_NAME_BYTES)
    return expression.sql(dialect=dialect, pretty=pretty)


def _blocks(policy: Policy) -> Sequence[exp.Condition]:
    return [
        exp.and_(_reaches(policy, name, rule.block), exp.not_(_is_hint(name)))
        for name, rule in _ruled(policy)
        if rule.block is not None
    ]


def _reviews(policy: Policy) -> Sequence[exp.Condition]:
    """A hint over the threshold for block goes to review too, so the lower of the two thresholds counts."""
    return [
        _reaches(policy, name, threshold)
        for name, rule in _ruled(policy)
        if (threshold := rule.block if rule.review is None else rule.review) is not None
    ]


def _ambiguities(policy: Policy, outcome: Decision) -> Sequence[exp.Condition]:
    """Return what finds features with an outcome: those that the policy names, and all others by its default."""
    default = policy.ambiguous[AMBIGUOUS_DEFAULT]
    named = {name: decision for name, decision in policy.ambiguous.items() if decision != default}
    if outcome != default:
        return [_has(_column("ambiguous"), f'"{name}"') for name, decision in named.items() if decision == outcome]
    others: exp.Expression = _column("ambiguous")
    for name in named:
        others = _without(others, f'"{name}"')
    return [_has(others, '"')]


def _has(text: exp.Expression, part: str) -> exp.Condition:
    """Return whether a text has a part: LIKE would take an underscore for any character."""
    return exp.NEQ(this=_without(text, part), expression=text.copy())


def _without(text: exp.Expression, part: str) -> exp.Expression:
    return exp.Replace(this=text.copy(), expression=exp.Literal.string(part), replacement=exp.Literal.string(""))


_Margin = Callable[[Policy, str, CategoryRule], exp.Case | None]


def _margins(policy: Policy) -> Mapping[Decision, Mapping[str, exp.Expression]]:
    """Return the margins by category, for block and for review; an outcome that no rule leads to is left out."""
    found: dict[Decision, Mapping[str, exp.Expression]] = {}
    margins_of: tuple[tuple[Decision, _Margin], ...] = (("block", _block_margin), ("review", _review_margin))
    for outcome, margin_of in margins_of:
        margins = {name: margin for name, rule in _ruled(policy) if (margin := margin_of(policy, name, rule))}
        if margins:
            found[outcome] = margins
    return found


def _widest(margins: Collection[exp.Expression]) -> exp.Expression:
    first, *others = margins
    # Anonymous, because sqlglot would add what each system does with a null, and there is none.
    return exp.Anonymous(this="GREATEST", expressions=[*margins]) if others else first.copy()


def _clearest(margins: Mapping[str, exp.Expression], widest: exp.Expression) -> exp.Expression:
    """Return the first category with the widest margin, null without a finding.

    A CASE with an operand compares the widest margin with each category's in the policy's order: the first is named.
    """
    case = exp.Case(this=widest).when(_NO_FINDING.copy(), exp.Null())
    for name, margin in margins.items():
        case = case.when(margin, exp.Literal.string(name))
    return case


def _block_margin(policy: Policy, name: str, rule: CategoryRule) -> exp.Case | None:
    if rule.block is None:
        return None
    is_found = exp.and_(_reaches(policy, name, rule.block), exp.not_(_is_hint(name)))
    return exp.Case().when(is_found, _over(policy, name, rule.block)).else_(_NO_FINDING.copy())


def _review_margin(policy: Policy, name: str, rule: CategoryRule) -> exp.Case | None:
    """Return the margin of a row that no category blocks: what reaches a threshold for block there is a hint."""
    thresholds = [threshold for threshold in (rule.block, rule.review) if threshold is not None]
    if not thresholds:
        return None
    case = exp.Case()
    for threshold in thresholds:
        case = case.when(_reaches(policy, name, threshold), _over(policy, name, threshold))
    return case.else_(_NO_FINDING.copy())


def _ruled(policy: Policy) -> Iterator[tuple[str, CategoryRule]]:
    """Yield the rules in the order that decides between equals."""
    return ((name, policy.categories[name]) for name in policy.names if name in policy.categories)


def _reaches(policy: Policy, name: str, threshold: float) -> exp.Condition:
    return exp.GTE(this=score(policy, name), expression=double(threshold))


def _over(policy: Policy, name: str, threshold: float) -> exp.Expression:
    return exp.Sub(this=score(policy, name), expression=double(threshold))


def _is_hint(name: str) -> exp.Expression:
    return exp.Coalesce(this=_column(f"hint_{name}"), expressions=[exp.false()])


def _is_unjudged(policy: Policy) -> exp.Condition:
    first, *others = [_column(score_columns(name)[0]) for name in policy.names]
    return exp.or_(_has_status_not_moderated(), exp.Coalesce(this=first, expressions=others).is_(exp.Null()))


def _has_status_not_moderated() -> exp.Expression:
    return _column("status").eq(exp.Literal.string("not_moderated"))


def _column(name: str) -> exp.Column:
    return exp.column(name, quoted=True)
