"""Draws a stratified, seeded sample of stored verdicts, for people to label.

Each image counts once, with its newest verdict. What was allowed and what was flagged are always different strata: harm
is missed only among the former. Within a stratum every image has the same chance, by a hash of seed, tenant and image
id: the same archive and seed give the same sample, in whatever order the archive is read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Literal

import duckdb
import orjson

from service.policy.taxonomy import NAMES
from service.tools.evaluation.sampling.allocation import ALLOWED_SHARE, allocate
from service.tools.evaluation.sampling.errors import SampleImpossibleError
from service.tools.evaluation.sampling.label_sheet import SampledImage
from service.tools.evaluation.stored.columns import own_categories_of

Dimension = Literal["band", "category", "decision", "tenant"]

BANDS = (0.05, 0.2, 0.5, 0.8)
"""Scores at which a band ends. Most images lie in the lowest band, and most harm in the highest."""

MAX_SIZE = 100_000
"""Months of work for a team of labellers."""

_FLAGS = ("review", "block")

_NAMES_OF_STRATA = {
    "band": "CASE WHEN score IS NULL THEN 'unscored'"
    " ELSE $bands[1 + len(list_filter($edges, lambda edge: edge <= score))] END",
    "category": "coalesce(category, 'unjudged')",
    "tenant": "tenant",
}
"""In the order in which they stand in a stratum's name: a tenant may hold spaces, and ends it."""


@dataclass(frozen=True, slots=True)
class SampleDesign:
    """What splits images into strata, besides whether they were allowed."""

    by: frozenset[Dimension] = frozenset({"category", "band"})
    bands: tuple[float, ...] = BANDS
    """Ascending, between 0 and 1."""


class Population:
    """The newest verdict of each image, in strata, of the view `verdicts` of a connection."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, design: SampleDesign) -> None:
        """Raise `SampleImpossibleError` if there are no verdicts, or far too many strata."""
        self._connection = connection
        self._categories = _collect(connection, design)
        _check_scores(connection)
        self._strata = _strata(connection)
        self.images = sum(count for counts in self._strata.values() for count in counts.values())
        if not self.images:
            raise SampleImpossibleError(detail="there are no verdicts of that time, so there is nothing to draw from")

    def draw(self, *, size: int, seed: int = 0, allowed_share: float = ALLOWED_SHARE) -> list[SampledImage]:
        """Draw at least `allowed_share` of a sample from what was allowed, or nothing of that with 0.

        Raises `SampleImpossibleError` if there are too many strata for the size.
        """
        flagged, allowed = self._strata[False], self._strata[True]
        drawn = allocate(flagged, allowed, size=min(size, self.images), allowed_share=allowed_share)
        rows = _drawn(self._connection, drawn, seed)
        strata = flagged | allowed
        return [
            self._sampled(row, number, len(rows), strata[row["stratum"]], drawn[row["stratum"]])
            for number, row in enumerate(rows, start=1)
        ]

    def _sampled(
        self, row: Mapping[str, Any], number: int, rows: int, stratum_images: int, stratum_rows: int
    ) -> SampledImage:
        moment = datetime.fromtimestamp(row["at_us"] // 1_000_000, UTC)
        return SampledImage(
            row=number,
            rows=rows,
            images=self.images,
            image_id=row["image_id"],
            tenant=row["tenant"],
            sha256=row["sha256"] or "",
            source=row["source"] or "",
            moderated_at=moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
            decision=row["decision"],
            category=row["category"] or "",
            score=row["score"],
            flagged=" ".join(_flagged(row["reasons"], self._categories)),
            stratum=row["stratum"],
            stratum_images=stratum_images,
            stratum_rows=stratum_rows,
        )


def _collect(connection: duckdb.DuckDBPyConnection, design: SampleDesign) -> tuple[str, ...]:
    """Make the table `images`: the newest verdict of each image, with its stratum. Return all categories."""
    columns = [name for name, *_ in connection.execute("DESCRIBE verdicts").fetchall()]
    known = (*NAMES, *sorted(own_categories_of(columns)))
    scores = {name: f'"score_{name}"' for name in known}  # names of columns, which hold no quotes
    highest = f"greatest({', '.join(scores.values())})"
    of_highest = " ".join(f"WHEN {column} = {highest} THEN '{name}'" for name, column in scores.items())
    of_category = " ".join(f"WHEN '{name}' THEN {column}" for name, column in scores.items())
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE images AS
        WITH newest AS (
            SELECT *, CASE WHEN list_contains($known, deciding_category) THEN deciding_category
                {of_highest} END category
            FROM verdicts
            QUALIFY row_number() OVER (PARTITION BY tenant, image_id ORDER BY moderated_at DESC, event_id DESC) = 1
        ), scored AS (
            SELECT image_id, coalesce(tenant, '') tenant, sha256,
                source_topic || ':' || source_partition || ':' || source_offset source,
                epoch_us(moderated_at) at_us, decision, category,
                CASE category {of_category} END score, CASE WHEN decision <> 'allow' THEN reasons END reasons
            FROM newest
        )
        SELECT *, {_stratum(design.by)} stratum FROM scored
        """,  # noqa: S608 - names of categories, which own_categories_of checked, hold no quotes
        {"known": list(known)} | _bands(design),
    )
    return known


def _check_scores(connection: duckdb.DuckDBPyConnection) -> None:
    # NaN is the greatest of all in DuckDB, and not between the two.
    found = connection.execute("SELECT score FROM images WHERE NOT (score BETWEEN 0 AND 1) LIMIT 1").fetchone()
    if found is not None:
        raise SampleImpossibleError(detail=f"a stored verdict has the score {found[0]}, and a score is from 0 to 1")


def _stratum(by: frozenset[Dimension]) -> str:
    """Return the expression for a stratum's name; equal names are equal strata."""
    first = "decision" if "decision" in by else "CASE decision WHEN 'allow' THEN 'allowed' ELSE 'flagged' END"
    return " || ' ' || ".join([first, *(text for name, text in _NAMES_OF_STRATA.items() if name in by)])


def _bands(design: SampleDesign) -> dict[str, object]:
    """Return the parameters that the names of bands need."""
    if "band" not in design.by:
        return {}
    names = [f"{low:g}-{high:g}" for low, high in pairwise((0.0, *design.bands, 1.0))]
    return {"edges": list(design.bands), "bands": names}


def _strata(connection: duckdb.DuckDBPyConnection) -> dict[bool, dict[str, int]]:
    """Return the number of images by stratum, of what was flagged (False) and of what was allowed (True)."""
    found = connection.execute(
        """
        SELECT stratum, decision IS NOT DISTINCT FROM 'allow' allowed, count(*) FROM images
        GROUP BY ALL ORDER BY ALL LIMIT $most
        """,
        {"most": MAX_SIZE + 1},
    ).fetchall()
    if len(found) > MAX_SIZE:
        raise SampleImpossibleError(detail=f"--by makes more than {MAX_SIZE:,} strata: split the images by less")
    return {wanted: {name: count for name, allowed, count in found if allowed == wanted} for wanted in (False, True)}


def _drawn(connection: duckdb.DuckDBPyConnection, drawn: dict[str, int], seed: int) -> list[dict[str, Any]]:
    """Return the images that a number for each stratum draws, in an order that says nothing about them."""
    found = connection.execute(
        """
        WITH wanted AS (SELECT unnest($strata) stratum, unnest($counts) rows), placed AS (
            SELECT *, row_number() OVER (
                PARTITION BY stratum ORDER BY sha256(concat_ws(chr(0), $seed, tenant, image_id))
            ) place FROM images
        )
        SELECT placed.* FROM placed JOIN wanted USING (stratum) WHERE place <= rows
        ORDER BY sha256(concat_ws(chr(0), 'order', $seed, tenant, image_id))
        """,
        {"strata": list(drawn), "counts": list(drawn.values()), "seed": str(seed)},
    )
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _flagged(reasons: str | None, known: Sequence[str]) -> Iterator[str]:
    """Yield the categories that sent an image to review or block."""
    try:
        flagged = {each.get("category") for each in orjson.loads(reasons or "[]") if each.get("decision") in _FLAGS}
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        raise SampleImpossibleError(detail="a stored verdict has reasons that are no list of objects in JSON") from None
    return (name for name in known if name in flagged)
