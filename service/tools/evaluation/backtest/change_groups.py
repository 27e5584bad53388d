"""What changes for each tenant and each category: the most changes by themselves, the others together."""

from collections.abc import Sequence

from duckdb import DuckDBPyRelation

from service.policy.decide import AMBIGUOUS
from service.tools.evaluation.backtest.result import DECISIONS, GroupChange
from service.tools.evaluation.backtest.verdict_groups import VerdictGroups

# Positive for a stricter decision.
_CHANGE = " - ".join(f"list_position({list(DECISIONS)}, {side})" for side in ("after", "before"))

_SUMS = ", ".join(
    f"COALESCE(sum(images) FILTER ({condition}), 0)::BIGINT AS {name}"
    for name, condition in {
        "images": "true",
        "stricter": "change > 0",
        "milder": "change < 0",
        "review_before": "own_before = 'review'",
        "review_after": "own_after = 'review'",
        "block_before": "own_before = 'block'",
        "block_after": "own_after = 'block'",
    }.items()
)


# A decision that no category made, about an image that a model judged.
_NAMED = ", ".join(
    f"CASE WHEN category_{side} IS NULL AND {side} <> 'allow' AND status = 'moderated' THEN '{AMBIGUOUS}' "
    f"ELSE category_{side} END AS category_{side}"
    for side in ("before", "after")
)


def changes_by_tenant(groups: VerdictGroups, most: int) -> tuple[GroupChange, ...]:
    """Return the changes of tenants."""
    own = f"tenant AS name, images, before AS own_before, after AS own_after, {_CHANGE} AS change"
    return _groups(groups.table.project(own), most)


def changes_by_category(groups: VerdictGroups, most: int) -> tuple[GroupChange, ...]:
    """Return the changes of categories; a change belongs to the category that decided on its graver side.

    Decisions about what viewers may show otherwise are listed as those of a category do, by the code of their reason.
    """
    rows = groups.table.filter("before <> 'allow' OR after <> 'allow'")
    counted = rows.project(f"before, after, images, {_NAMED}")
    each = counted.project(f"*, unnest(list_distinct([category_before, category_after])) AS name, {_CHANGE} AS step")
    return _groups(
        each.project(
            "name, images, CASE WHEN category_before = name THEN before END AS own_before, "
            "CASE WHEN category_after = name THEN after END AS own_after, "
            "CASE WHEN name = (CASE WHEN step > 0 THEN category_after ELSE category_before END) THEN step ELSE 0 END "
            "AS change"
        ),
        most,
    )


def _groups(rows: DuckDBPyRelation, most: int) -> tuple[GroupChange, ...]:
    """Return the groups with the most changes, and last the sum of all others, which has no name."""
    grouped = rows.aggregate(f"name, {_SUMS}", "name")
    listed = grouped.order("stricter + milder DESC, images DESC, name").limit(most).fetchall()
    (whole,) = rows.aggregate(_SUMS).fetchall()
    rest = [total - sum(column) for total, column in zip(whole, _columns(listed, len(whole)), strict=True)]
    return tuple(GroupChange(*row) for row in (*listed, *([(None, *rest)] if any(rest) else [])))


def _columns(rows: Sequence[Sequence[int]], number: int) -> Sequence[Sequence[int]]:
    """Return the numbers of rows by column, behind the name."""
    return [[row[place + 1] for row in rows] for place in range(number)]
