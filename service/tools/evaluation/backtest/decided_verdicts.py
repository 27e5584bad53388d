"""Stored verdicts with a policy's decision beside the one before; computed by DuckDB, row by row."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from duckdb import DuckDBPyRelation
from sqlglot import exp

from service.policy.policy import Policy
from service.tools.evaluation.backtest.policy_sql import deciding_category_in_steps, decision, score, sql
from service.tools.evaluation.backtest.result import ImageChange


@dataclass(frozen=True)
class DecidedVerdicts:
    """Verdicts that count, and what two policies decide about them."""

    stored: DuckDBPyRelation
    """The columns of `verdict_columns` and `row_key`, which distinguishes rows."""
    policy: Policy
    baseline: Policy | None
    """Whose decisions are those before; None for those that were stored."""

    @property
    def ruled(self) -> Sequence[str]:
        """The categories that the policy has a rule for, in its order."""
        return [name for name in self.policy.names if name in self.policy.categories]

    @cached_property
    def scores(self) -> Mapping[str, str]:
        """By category of the policy: the expression for the score that its rule is applied to."""
        return {name: sql(score(self.policy, name), "duckdb") for name in self.policy.names}

    @cached_property
    def rows(self) -> DuckDBPyRelation:
        """The verdicts with the columns `before` and `after`, which hold decisions."""
        return self.stored.project(f"*, {self._before} AS before, {self._after} AS after")

    def with_categories(self, rows: DuckDBPyRelation) -> DuckDBPyRelation:
        """Return some of the rows with the columns `category_before` and `category_after`: the deciding categories."""
        before = None if self.baseline is None else deciding_category_in_steps(self.baseline, "before")
        after = deciding_category_in_steps(self.policy, "after")
        steps = [after] if before is None else [before, after]
        for part in ("margins", "widest"):
            named = (f"{sql(each, 'duckdb')} AS {name}" for step in steps for name, each in getattr(step, part).items())
            rows = rows.project(", ".join(("*", *named)))
        category_before = '"deciding_category"' if before is None else sql(before.category, "duckdb")
        category_after = sql(after.category, "duckdb")
        return rows.project(f"*, {category_before} AS category_before, {category_after} AS category_after")

    def images(self, keys: Collection[int]) -> Mapping[int, ImageChange]:
        """Return the images of a few rows, by `row_key`."""
        if not keys:
            return {}
        return self.changes(self.rows.filter(f"row_key IN ({', '.join(map(str, sorted(keys)))})"))

    def changes(self, rows: DuckDBPyRelation) -> Mapping[int, ImageChange]:
        """Return some of the rows by `row_key`, in their order."""
        scores = (f"{self.scores[name]} AS counted_{place}" for place, name in enumerate(self.ruled))
        shown = ", ".join(("row_key", *_IDENTITY, *scores, "category_before", "category_after"))
        return {key: self._change(row) for key, *row in self.with_categories(rows).project(shown).fetchall()}

    @property
    def _before(self) -> str:
        return '"decision"' if self.baseline is None else sql(decision(self.baseline), "duckdb")

    @property
    def _after(self) -> str:
        return sql(decision(self.policy), "duckdb")

    def _change(self, row: Sequence[object]) -> ImageChange:
        identity = dict(zip(_IDENTITY, row, strict=False))
        scores, (before, after) = row[len(_IDENTITY) : -2], row[-2:]
        found = {name: score for name, score in zip(self.ruled, scores, strict=True) if isinstance(score, float)}
        ranked = dict(sorted(found.items(), key=lambda item: -item[1]))
        return ImageChange(**identity, scores=ranked, category_before=before, category_after=after)  # type: ignore[arg-type]  # the columns' types, which verdict_columns fixes


_KEY = ("source_topic", "source_partition", "source_offset", "image_id", "tenant", "moderated_at")
"""Verdicts of files may lack their source, and two tenants may give an image the same id."""
_IDENTITY = (
    *("image_id", "tenant", "moderated_at", "before", "after"),
    *("sha256", "source_topic", "source_partition", "source_offset", "ambiguous"),
)


def decided(
    verdicts: DuckDBPyRelation,
    policy: Policy,
    *,
    baseline: Policy | None = None,
    tenants: Collection[str] = (),
    stored_by: Collection[str] = (),
) -> DecidedVerdicts:
    """Decide about verdicts with the columns of `verdict_columns`.

    If tenants are named, or policies that decided verdicts, all others are left out.
    """
    for column, wanted in (("tenant", tenants), ("policy_name", stored_by)):
        if wanted:
            names = [exp.Literal.string(name) for name in sorted(wanted)]
            verdicts = verdicts.filter(exp.column(column).isin(*names).sql("duckdb"))
    return DecidedVerdicts(verdicts.project(f"*, hash({', '.join(_KEY)}) AS row_key"), policy, baseline)


def needed_categories(*policies: Policy | None) -> frozenset[str]:
    """Return the categories that a view of verdicts must have columns for, so that policies can decide."""
    return frozenset(name for policy in policies if policy is not None for name in policy.names)
