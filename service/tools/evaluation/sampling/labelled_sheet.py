"""Reads a sample back once people have labelled it; what is wrong is reported with its line, and nothing is guessed."""

import csv
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from service.policy.taxonomy import NAMES
from service.telemetry.plain_text import one_line
from service.tools.evaluation.datasets.dataset import NONE
from service.tools.evaluation.sampling.errors import LabelsInvalidError
from service.tools.evaluation.sampling.label_sheet import (
    CHECK,
    FACTS,
    INCLUSION_PROBABILITY,
    LABELS,
    SAMPLE,
    SampledImage,
    check_of,
    number_text,
    sample_name,
    unquoted,
)

SKIP = "skip"
"""The label of an image that could not be labelled."""

_REQUIRED = (SAMPLE, *FACTS, INCLUSION_PROBABILITY, CHECK, LABELS)
_DELIMITERS = (",", ";", "\t")
"""What spreadsheets write between cells, by their language."""
_BETWEEN_LABELS = re.compile(r"[\s,;]+")
_WHOLE = ("row", "rows", "images", "stratum_images", "stratum_rows")
_CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,63}")

MAX_BYTES = 256 * 1024 * 1024
"""2.5 KB for each row of the largest sample."""
_MAX_PROBLEMS = 20
"""A file with more is of another kind, or went through a program that changes every row."""
_MAX_DIGITS = 12


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """A drawn image with its labels."""

    image: SampledImage
    labels: frozenset[str] | None
    """The categories that it shows; None if it was not labelled."""


class WrongRowError(ValueError):
    """A row cannot be used; the message says why."""


def read_sheet(path: Path, categories: Collection[str] = ()) -> list[LabelledImage]:
    """Return all rows of a labelled sample. Labels name the taxonomy's categories, and further ones given here.

    Raises `LabelsInvalidError` with every problem, up to a number of them, and `OSError`.
    """
    text = _text_of(path)
    known = frozenset((*NAMES, *categories))
    problems: list[str] = []
    read: list[tuple[int, str, LabelledImage]] = []
    for line, cells in _rows(path, text):
        try:
            read.append((line, cells[SAMPLE], _labelled(cells, known)))
        except WrongRowError as error:
            problems.append(f"{path}:{line}: {error}")
            if len(problems) >= _MAX_PROBLEMS:
                break
    _refuse(problems)
    _refuse([f"{path}:{line}: {detail}" for line, detail in _problems_together(read)][:_MAX_PROBLEMS])
    return [labelled for _, _, labelled in read]


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise LabelsInvalidError(problems="\n".join(problems))


def _text_of(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        _refuse([f"{path}:1: the file has more than {MAX_BYTES:,} bytes, and is no sample to label"])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise LabelsInvalidError(
            problems=f"{path}:{line}: this is not UTF-8: save the file as 'CSV UTF-8' in your spreadsheet"
        ) from error


def _rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield every row with its line; a row of several lines has that of its first."""
    head = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=head.count), strict=True)
    columns: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            if columns is None:
                columns = _columns(path, cells)
            elif any(cells):
                if len(cells) != len(columns):
                    _refuse([f"{path}:{line}: the row has {len(cells)} cells, and the first line {len(columns)}"])
                yield line, dict(zip(columns, cells, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise LabelsInvalidError(problems=f"{path}:{line}: this is not CSV: {error}") from error
    if columns is None:
        _refuse([f"{path}:1: the file is empty"])


def _columns(path: Path, cells: list[str]) -> list[str]:
    missing = [name for name in _REQUIRED if name not in cells]
    twice = [name for name, count in Counter(cells).items() if count > 1 and name]
    if missing or twice:
        detail = f"lacks the columns {', '.join(missing)}" if missing else f"has twice the columns {', '.join(twice)}"
        _refuse([f"{path}:1: the file {one_line(detail, at_most=400)}: it is not what 'evaluate sample' wrote"])
    return cells


def _labelled(cells: Mapping[str, str], known: frozenset[str]) -> LabelledImage:
    image = _image(cells)
    if check_of(image) != cells[CHECK]:
        raise WrongRowError(
            "the row was changed: only 'labels' and 'note' may be. A spreadsheet changes numbers and dates by itself"
            " unless every column is imported as text"
        )
    if number_text(image.inclusion_probability) != _number_text(cells[INCLUSION_PROBABILITY]):
        raise WrongRowError("the column 'inclusion_probability' was changed")
    return LabelledImage(image, labels_of(cells[LABELS], known | image.flagged_categories))


def labels_of(cell: str, known: frozenset[str]) -> frozenset[str] | None:
    """Return the categories that a cell names; None if it is empty or says that the image could not be labelled."""
    names = frozenset(_BETWEEN_LABELS.split(unquoted(cell).strip().lower())) - {""}
    if names <= {SKIP}:
        return None
    if len(names) > 1 and (alone := names & {NONE, SKIP}):
        raise WrongRowError(f"{min(alone)!r} stands beside other labels")
    if wrong := sorted(names - known - {NONE}):
        raise WrongRowError(_unknown(wrong[0], known))
    return names - {NONE}


def _unknown(label: str, known: frozenset[str]) -> str:
    close = get_close_matches(label[:100], known, n=1)
    meant = f"; did you mean {close[0]}?" if close else "."
    return (
        f"the label {one_line(label, at_most=80)!r} is no category{meant} Write {NONE!r} for an image without harm,"
        " and name categories of a policy's own with --category"
    )


def _image(cells: Mapping[str, str]) -> SampledImage:
    """Return the facts of a row; raise `WrongRowError` for what no sample holds."""
    number = {name: _whole(name, cells[name]) for name in _WHOLE}
    fits = number["row"] <= number["rows"] <= number["images"]
    if not fits or not number["stratum_rows"] <= number["stratum_images"] <= number["images"]:
        raise WrongRowError("the row was changed: its numbers of rows and images contradict each other")
    text = {name: unquoted(cells[name]) for name in FACTS if name not in number}
    if wrong := [name for name in text["flagged"].split() if not _CATEGORY.fullmatch(name)]:
        raise WrongRowError(f"the row was changed: {one_line(wrong[0], at_most=80)!r} is no category")
    facts: dict[str, Any] = {**text, **number, "score": _score(cells["score"])}
    return SampledImage(**facts)


def _whole(name: str, cell: str) -> int:
    if not (cell.isascii() and cell.isdigit() and len(cell) <= _MAX_DIGITS and int(cell) > 0):
        raise WrongRowError(f"the column {name!r} holds {one_line(cell, at_most=40)!r}, which is no whole number")
    return int(cell)


def _score(cell: str) -> float | None:
    try:
        return float(cell) if cell else None
    except ValueError:
        raise WrongRowError(f"the column 'score' holds {one_line(cell, at_most=40)!r}, which is no number") from None


def _number_text(cell: str) -> str:
    try:
        return number_text(float(cell))
    except ValueError:
        return cell


def _problems_together(read: Sequence[tuple[int, str, LabelledImage]]) -> Iterator[tuple[int, str]]:
    """Yield what is wrong with rows that are right by themselves."""
    if not read:
        yield 2, "the file has no rows"
        return
    lines: dict[int, int] = {}
    _, sample, first = read[0]
    for line, name, labelled in read:
        row = labelled.image.row
        if name != sample or labelled.image.rows != first.image.rows:
            yield line, "the row belongs to another sample than the first one"
        elif row in lines:
            yield line, f"row {row} of the sample is there twice; it is on line {lines[row]} already"
        lines.setdefault(row, line)
    if len(lines) == len(read):
        yield from _problems_of_all(read, sample, lines)


def _problems_of_all(
    read: Sequence[tuple[int, str, LabelledImage]], sample: str, lines: Mapping[int, int]
) -> Iterator[tuple[int, str]]:
    last = read[-1][0]
    rows = read[0][2].image.rows
    if missing := rows - len(lines):
        absent = [str(row) for row in range(1, rows + 1) if row not in lines][:_MAX_PROBLEMS]
        yield last, f"{missing:,} of {rows:,} rows of the sample are missing, such as {', '.join(absent)}"
    elif sample_name(check_of(labelled.image) for _, _, labelled in read) != sample:
        yield last, "the rows are not those of one sample: the file was put together from several"
    else:
        yield from _problems_of_strata([labelled.image for _, _, labelled in read], last)


def _problems_of_strata(images: Sequence[SampledImage], last: int) -> Iterator[tuple[int, str]]:
    strata = {image.stratum: image for image in images}
    counts = Counter((image.stratum, image.stratum_rows, image.stratum_images, image.images) for image in images)
    right = {
        (name, each.stratum_rows, each.stratum_images, each.images): each.stratum_rows for name, each in strata.items()
    }
    if counts != right or sum(each.stratum_images for each in strata.values()) > images[0].images:
        yield last, "the numbers of images in the strata contradict each other: the file was made by hand"
