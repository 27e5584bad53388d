"""Refuses Parquet files that hold what `modstream archive` never writes: anyone may write one into an archive."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from service.core.errors import FatalError
from service.tools.evaluation.stored.columns import MAX_OWN_CATEGORIES, own_categories_of, verdict_schema
from service.tools.evaluation.stored.errors import NoRoomForVerdictsError, TooManyCategoriesError

_FAULTS = {
    "no image_id, tenant or moderated_at": "image_id IS NULL OR tenant IS NULL OR moderated_at IS NULL",
    "a decision other than allow, review and block": "decision IS NULL OR decision NOT IN ('allow', 'review', 'block')",
    "a status other than moderated and not_moderated": "status IS NULL OR status NOT IN ('moderated', 'not_moderated')",
}

_OURS = (duckdb.ParserException, duckdb.CatalogException)
"""What only a mistake of this program raises."""

_MESSAGE_CHARACTERS = 300


class ForeignFileError(FatalError):
    """Files of stored verdicts hold what `modstream archive` never writes."""

    reason = "verdicts.foreign_file"
    message = "{place} has files that 'modstream archive' did not write, or that are damaged: {detail}"


@contextmanager
def errors_of_reading(place: str, temporary: Path) -> Iterator[None]:
    """Raise errors that a user can act upon for those of DuckDB, which come whenever it reads: see the classes.

    `temporary` is the folder that it puts rows into for which the memory has no room.
    """
    try:
        yield
    except _OURS:
        raise
    except duckdb.Error as error:
        detail = " ".join(str(error).split())[:_MESSAGE_CHARACTERS]
        if isinstance(error, duckdb.OutOfMemoryException) or os.strerror(errno.ENOSPC) in detail:
            raise NoRoomForVerdictsError(folder=temporary.parent, detail=detail) from error
        raise ForeignFileError(place=place, detail=detail) from error


def checked_schema(stored: duckdb.DuckDBPyRelation, place: str) -> pa.Schema:
    """Return the columns that a view of these files has.

    Raises `ForeignFileError` if one has another type or is missing, and `TooManyCategoriesError`.
    """
    own = own_categories_of(stored.columns)
    if len(own) > MAX_OWN_CATEGORIES:
        raise TooManyCategoriesError(place=place, found=len(own), limit=MAX_OWN_CATEGORIES)
    schema = verdict_schema(own)
    found = dict(zip(stored.columns, map(str, stored.types), strict=True))
    for name, kind in zip(schema.names, _types_of(schema), strict=True):
        if found.get(name) != kind:
            raise ForeignFileError(place=place, detail=f"the column {name} is {found.get(name, 'missing')}, not {kind}")
    return schema


def _types_of(schema: pa.Schema) -> list[str]:
    with duckdb.connect() as connection:
        return [str(kind) for kind in connection.from_arrow(schema.empty_table()).types]


def check_rows(verdicts: duckdb.DuckDBPyRelation, place: str) -> None:
    """Raise `ForeignFileError` for rows that lack what every verdict has."""
    counted = ", ".join(f"count(*) FILTER ({condition})" for condition in _FAULTS.values())
    (numbers,) = verdicts.aggregate(counted).fetchall()
    for fault, number in zip(_FAULTS, numbers, strict=True):
        if number:
            raise ForeignFileError(place=place, detail=f"{number:,} rows have {fault}")
