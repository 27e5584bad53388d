"""Reads labels from CSV and JSON lines, with the line of everything that is wrong."""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson

from service.tools.evaluation.datasets.dataset import MAX_EXAMPLES, DatasetError
from service.tools.evaluation.datasets.rows import Row

LINE_LIMIT_BYTES = 1024 * 1024
"""A longer line is no row of labels."""


def csv_rows(path: Path, *, folder: Path, split: str | None = None) -> Iterator[Row]:
    """Yield the rows of a CSV file with a heading; raise `DatasetError` for what is no such file."""
    reader = csv.reader(_lines(path), strict=True)
    try:
        heading = next(reader, None)
        if not heading or any(not name.strip() for name in heading):
            raise DatasetError(place=f"{path}, line 1", detail="a heading with a name for every column was expected")
        names = [name.strip() for name in heading]
        if repeated := sorted(name for name, count in Counter(names).items() if count > 1):
            raise DatasetError(place=f"{path}, line 1", detail=f"the column {repeated[0]!r} stands there twice")
        for cells in reader:
            place = f"{path}, line {reader.line_num}"
            if not cells:
                continue
            if len(cells) != len(names):
                detail = f"{len(cells)} cells under a heading of {len(names)}; a text with a comma stands in quotes"
                raise DatasetError(place=place, detail=detail)
            yield Row(dict(zip(names, cells, strict=True)), place, folder, split)
    except csv.Error as error:
        raise DatasetError(place=f"{path}, line {reader.line_num}", detail=f"this is no CSV: {error}") from None


def json_rows(path: Path, *, folder: Path, split: str | None = None) -> Iterator[Row]:
    """Yield the objects of a file of JSON lines; raise `DatasetError` for what is no such file."""
    for number, line in enumerate(_lines(path), start=1):
        place = f"{path}, line {number}"
        if not line.strip():
            continue
        try:
            content = orjson.loads(line)  # refuses halves of surrogate pairs, which no file can be written with
        except ValueError:
            raise DatasetError(place=place, detail="this is no JSON") from None
        if not isinstance(content, dict):
            raise DatasetError(place=place, detail="an object a line was expected")
        yield Row(content, place, folder, split)


def _lines(path: Path) -> Iterator[str]:
    """Yield the lines of a UTF-8 file, each bounded, and not more than examples are taken."""
    try:
        with path.open("rb") as file:
            for number in range(1, MAX_EXAMPLES + 2):
                line = file.readline(LINE_LIMIT_BYTES + 1)
                if not line:
                    return
                yield _decoded(line, f"{path}, line {number}")
    except OSError as error:
        raise DatasetError(place=path, detail=f"the file cannot be read: {error.strerror}") from error
    raise DatasetError(place=path, detail=f"it has more than {MAX_EXAMPLES} lines: divide it")


def _decoded(line: bytes, place: str) -> str:
    if len(line) > LINE_LIMIT_BYTES:
        raise DatasetError(place=place, detail=f"the line has more than {LINE_LIMIT_BYTES} bytes")
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DatasetError(place=place, detail="the text is no UTF-8") from None
