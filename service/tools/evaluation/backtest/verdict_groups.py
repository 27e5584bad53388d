"""Decided verdicts counted by all that the questions ask of them; a backtest's one pass that decides about all rows.

A group has one tenant, decision and category before and after, stored policy, and set of open questions. It keeps a few
drawn rows as examples. So every figure is a sum over groups, of which there are few, and no row is decided twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from duckdb import DuckDBPyConnection, DuckDBPyRelation

from service.tools.evaluation.backtest.decided_verdicts import DecidedVerdicts
from service.tools.evaluation.backtest.result import StoredPolicy
from service.tools.evaluation.backtest.unanswered import OpenQuestion

_TABLE = "backtest_groups"
_COLUMNS = (
    *("tenant", "status", "before", "after", "category_before", "category_after"),
    *("policy_name", "policy_version", "policy_hash"),
)
_DRAWN = "{'draw': hash(image_id, tenant), 'source_offset': source_offset, 'row_key': row_key}"
"""In the order of their hashes, images are a random sample, and the same one at every call."""

_MAX_STORED_POLICIES = 50
_BITS = 62
"""Of a column that holds the open questions of a row."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Of all verdicts."""

    images: int
    not_moderated: int
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class VerdictGroups:
    """A table of groups."""

    table: DuckDBPyRelation
    """Columns: those of a group, `images`, and others that only this class reads."""
    questions: Sequence[OpenQuestion]

    def totals(self) -> Totals:
        """Return the number of verdicts and their first and last time."""
        sums = (
            "COALESCE(sum(images), 0)::BIGINT, "
            "COALESCE(sum(images) FILTER (status = 'not_moderated'), 0)::BIGINT, min(first_at), max(last_at)"
        )
        (found,) = self.table.aggregate(sums).fetchall()
        return Totals(*found)

    def stored_policies(self) -> tuple[StoredPolicy, ...]:
        """Return the policies that decided the stored verdicts, those of the most verdicts first."""
        columns = "policy_name, policy_version, policy_hash"
        counted = self.table.aggregate(f"{columns}, sum(images)::BIGINT AS number", columns)
        rows = counted.order(f"number DESC, {columns}").limit(_MAX_STORED_POLICIES).fetchall()
        return tuple(
            StoredPolicy(name or "", version or "", digest or "", images) for name, version, digest, images in rows
        )

    def cells(self) -> Mapping[tuple[str, str], int]:
        """Return the number of images by decision before and after."""
        rows = self.table.aggregate("before, after, sum(images)::BIGINT", "before, after").fetchall()
        return {(before, after): images for before, after, images in rows}

    def drawn_by_cell(self, number: int) -> Mapping[tuple[str, str], Sequence[int]]:
        """Return the keys of some rows by decision before and after."""
        rows = self.table.project("before, after, unnest(drawn) AS drawn")
        found = rows.aggregate(f"before, after, min(drawn, {max(1, number)})", "before, after").fetchall()
        return {(before, after): _keys(drawn)[:number] for before, after, drawn in found}

    def open_images(self) -> Sequence[int]:
        """Return the number of images that each question is open for."""
        wanted = (
            f"COALESCE(sum(images) FILTER ({self._is_open(place)}), 0)::BIGINT" for place in range(len(self.questions))
        )
        (numbers,) = self.table.aggregate(", ".join(wanted)).fetchall()
        return list(numbers)

    def drawn_by_question(self, number: int) -> Sequence[Sequence[int]]:
        """Return the keys of some rows that each question is open for."""
        rows = self.table.project(f"{', '.join(self._words)}, unnest(drawn) AS drawn")
        wanted = (f"min(drawn, {number}) FILTER ({self._is_open(place)})" for place in range(len(self.questions)))
        (found,) = rows.aggregate(", ".join(wanted)).fetchall()
        return [_keys(drawn) for drawn in found]

    def images_to_judge_again(self) -> int:
        """Return the number of images that the model has to judge again, each counted once."""
        answered = [place for place, each in enumerate(self.questions) if each.is_answered_by_judging]
        condition = " OR ".join(map(self._is_open, answered))
        ((images,),) = self.table.aggregate(f"COALESCE(sum(images) FILTER ({condition}), 0)::BIGINT").fetchall()
        return int(images)

    @property
    def _words(self) -> Sequence[str]:
        return [f"open_{word}" for word in range(-(-len(self.questions) // _BITS))]

    @staticmethod
    def _is_open(place: int) -> str:
        return f"(open_{place // _BITS} & {1 << place % _BITS} <> 0)"


def grouped(
    connection: DuckDBPyConnection, verdicts: DecidedVerdicts, questions: Sequence[OpenQuestion], *, drawn: int
) -> VerdictGroups:
    """Decide about all verdicts and count them into a table; each group keeps up to `drawn` rows, and at least one."""
    words = [questions[start : start + _BITS] for start in range(0, len(questions), _BITS)]
    asked = ", ".join(f"{_word(part)} AS open_{place}" for place, part in enumerate(words))
    kept = ", ".join((*_COLUMNS, "moderated_at", f"{_DRAWN} AS drawn", asked))
    columns = ", ".join((*_COLUMNS, *(f"open_{place}" for place in range(len(words)))))
    counted = (
        "count(*) AS images, min(moderated_at) AS first_at, max(moderated_at) AS last_at, "
        f"min(drawn, {max(1, drawn)}) AS drawn"
    )
    connection.execute(f"DROP TABLE IF EXISTS {_TABLE}")
    rows = verdicts.with_categories(verdicts.rows).project(kept)
    rows.aggregate(f"{columns}, {counted}", columns).create(_TABLE)
    return VerdictGroups(connection.table(_TABLE), questions)


def _word(questions: Sequence[OpenQuestion]) -> str:
    """Return the set of questions that are open for a row, a bit for each."""
    bits = (
        f"CASE WHEN {each.condition} THEN {1 << place}::BIGINT ELSE 0::BIGINT END"
        for place, each in enumerate(questions)
    )
    return " | ".join(f"({bit})" for bit in bits)


def _keys(drawn: Sequence[Mapping[str, int]] | None) -> list[int]:
    return [each["row_key"] for each in drawn or ()]
