"""Verdicts out of files of others: JSON lines, and what Kafka Connect's sinks write of the topic.

Nothing is held whole: a file yields documents in parts of bounded size, each with its place for messages.
"""

import gzip
import sys
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from service.tools.evaluation.stored.errors import VerdictUnreadableError

MAX_LINE_BYTES = 16 * 1024 * 1024
"""Brokers take records of 1 MiB unless they are set otherwise; a file without line ends must not fill the memory."""

LINES = (".json", ".jsonl", ".ndjson", ".json.gz", ".jsonl.gz")
"""How names of files of JSON lines end."""

_ROWS = 4_096
_OTHER = object()
"""Stands for a line without a verdict: tags, a dead letter, or a rate."""


class Placed(NamedTuple):
    """A verdict and where it was found."""

    place: str
    document: object
    """Unchecked."""


def lines_of(path: Path) -> Iterator[Placed]:
    """Yield the verdicts of a file of JSON lines, `-` for standard input; raise `VerdictUnreadableError`.

    A line is a verdict, or what `modstream watch --json` or `modstream try --json` prints, or a prediction that
    `modstream evaluate` keeps: what else they write is left out.
    """
    with _opened(path) as file:
        number = 0
        while line := _next_line(file, path, number + 1):
            number += 1
            place = f"{path} line {number}"
            if len(line) > MAX_LINE_BYTES:
                raise VerdictUnreadableError(place=place, detail=f"it has more than {MAX_LINE_BYTES:,} bytes")
            if line.strip() and (document := _document(place, line)) is not _OTHER:
                yield Placed(place, document)


def rows_of(path: Path) -> Iterator[Placed]:
    """Yield the verdicts of a Parquet file with nested columns, as Kafka Connect's sink writes it."""
    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield Placed(f"{path} row {number}", _without_nulls(row))
    except (pa.ArrowException, OSError, ValueError, OverflowError, KeyError) as error:  # such as a text of no UTF-8
        raise VerdictUnreadableError(place=str(path), detail=f"no Parquet file can be read here: {error}") from error


def _opened(path: Path) -> BinaryIO:
    if str(path) == "-":
        return sys.stdin.buffer
    try:
        return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]  # reads as one
    except OSError as error:
        raise VerdictUnreadableError(place=str(path), detail=str(error.strerror)) from error


def _next_line(file: BinaryIO, path: Path, number: int) -> bytes:
    try:
        return file.readline(MAX_LINE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise VerdictUnreadableError(place=f"{path} line {number}", detail=f"it cannot be read ({error})") from error


def _document(place: str, line: bytes) -> object:
    try:
        document: Any = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise VerdictUnreadableError(place=place, detail=f"it is no JSON ({error})") from None
    if not isinstance(document, dict):
        return document
    if isinstance(kind := document.get("kind"), str) and "value" in document:  # of `modstream watch`
        return document["value"] if kind == "verdict" else _OTHER
    if isinstance(prediction := document.get("prediction"), dict):  # of `modstream evaluate --predictions`
        document = prediction
    if "verdict" in document or "images_per_s" in document:  # of `modstream try`
        return document.get("verdict") or _OTHER
    return document


def _without_nulls(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as a verdict: maps become objects, and what a struct has no value for is absent."""
    document = dict(row)
    for name in ("scores", "uncalibrated", "timings_ms", "context"):
        document[name] = _object(row.get(name))
    document["frames"] = [
        {**frame, "scores": _object(frame.get("scores")), "uncalibrated": _object(frame.get("uncalibrated"))}
        for frame in row.get("frames") or ()
        if isinstance(frame, Mapping)
    ]
    return document


def _object(value: Any) -> dict[str, Any] | None:
    """Return a struct's dict or a map's list of pairs as an object without nulls; None for anything else."""
    if not isinstance(value, Mapping | list):
        return None
    pairs = value.items() if isinstance(value, Mapping) else value
    return {name: number for name, number in pairs if number is not None}
