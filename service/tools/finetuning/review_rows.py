"""Reads what people decided from JSON lines or Parquet: a review a row, and the place of each row that is none."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from schemas.review_decided import ReviewDecidedV1
from service.core.errors import RejectedError
from service.events.review_codec import MAX_REVIEW_BYTES, review_of
from service.tools.evaluation.datasets.arrow import parquet_columns, parquet_rows
from service.tools.evaluation.datasets.dataset import DatasetError, Location
from service.tools.evaluation.datasets.image_store import ImageStore
from service.tools.evaluation.datasets.rows import inside

MAX_ROWS = 2_000_000
"""As many as a dataset may have."""

_LINES = (".jsonl", ".ndjson")
_DECISIONS = "decisions"
_PAIR = 2
"""A key and its value."""


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One decision, and where its image is."""

    place: str
    review: ReviewDecidedV1
    location: Location


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is no review."""

    place: str
    detail: str


def is_reviews(path: Path) -> bool:
    """Return whether a file holds decisions of reviewers, and not labels: its first row has decisions."""
    if not path.is_file() or path.suffix.lower() not in {*_LINES, ".parquet"}:
        return False
    if path.suffix.lower() == ".parquet":
        try:
            return any(name.partition(".")[0] == _DECISIONS for name in parquet_columns(path))
        except DatasetError:  # reading it says what is wrong
            return False
    first = next(_lines(path), None)
    return first is not None and isinstance(content := _parsed(first[1]), dict) and _DECISIONS in content


def review_rows(path: Path, store: ImageStore) -> Iterator[ReviewRow | BadRow]:
    """Yield the rows of a file one by one; images inside of Parquet are put into the store.

    A row is the value of a `ReviewDecided` event. Instead of the image's URL, it may name a file, relative to the
    folder of the rows. Raises `DatasetError` for a file that cannot be read at all.
    """
    contents = _parquet(path, store) if path.suffix.lower() == ".parquet" else _json(path)
    for number, (place, content, stored) in enumerate(contents, start=1):
        if number > MAX_ROWS:
            raise DatasetError(place=place, detail=f"it has more than {MAX_ROWS:,} rows: divide it")
        yield _row(path.parent, place, content, stored)


def _row(folder: Path, place: str, content: object, stored: Path | None) -> ReviewRow | BadRow:
    if isinstance(content, str):
        return BadRow(place, content)
    try:
        review = review_of(_with_url(content))
        named = review.image.url
        location = stored or (named if "://" in named else inside(folder, named, place))
    except RejectedError as error:
        return BadRow(place, str(error))
    except DatasetError as error:
        return BadRow(place, str(error.facts["detail"]))
    return ReviewRow(place, review, location)


def _with_url(content: object) -> object:
    """Return a row as an event: a text that names the image counts as its URL."""
    if isinstance(content, dict) and isinstance(content.get("image"), str):
        return {**content, "image": {"url": content["image"]}}
    return content


def _json(path: Path) -> Iterator[tuple[str, object, Path | None]]:
    for number, line in _lines(path):
        place = f"{path}, line {number}"
        if len(line) > MAX_REVIEW_BYTES:
            yield place, f"the line has more than {MAX_REVIEW_BYTES:,} bytes", None
        else:
            content = _parsed(line)
            yield place, content if isinstance(content, dict) else "an object in JSON was expected", None


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not empty, with their numbers; of one that is too long, no more than shows it."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_REVIEW_BYTES + 1):
                number += 1
                if line.strip() or len(line) > MAX_REVIEW_BYTES:
                    yield number, line
                while len(line) > MAX_REVIEW_BYTES and not line.endswith(b"\n"):
                    line = file.readline(MAX_REVIEW_BYTES + 1)
    except OSError as error:
        raise DatasetError(place=path, detail=f"the file cannot be read: {error.strerror}") from error


def _parsed(line: bytes) -> object:
    try:
        content: object = orjson.loads(line)
    except ValueError:
        return None
    return content


def _parquet(path: Path, store: ImageStore) -> Iterator[tuple[str, object, Path | None]]:
    for row in parquet_rows(path, store, folder=path.parent):
        content = _nested(row.content)
        if row.stored_image is not None:
            content["image"] = content.get("image") or row.stored_image.name
        yield row.place, content, row.stored_image


def _nested(row: Mapping[str, object]) -> dict[str, object]:
    """Return a row as an event: `policy.name` is the name of the policy, and what is null is absent."""
    content: dict[str, object] = {}
    for name, value in row.items():
        if (found := _value(value)) is None:
            continue
        first, dot, rest = name.partition(".")
        if not dot:
            content[name] = found
        elif isinstance(inner := content.setdefault(first, {}), dict):
            inner[rest] = found
    return content


def _value(value: object) -> object:
    """Return a value as JSON has it: a map, which pyarrow hands out as a list of pairs, is an object without nulls."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, list) and all(isinstance(each, tuple) and len(each) == _PAIR for each in value):
        value = dict(value)
    if not isinstance(value, Mapping):
        return value
    return {str(name): found for name, each in value.items() if (found := _value(each)) is not None}
