"""Reads a dataset in any of its forms."""

from collections.abc import Iterator
from pathlib import Path

from service.tools.evaluation.datasets.arrow import DISK_FILES, disk_rows, parquet_rows
from service.tools.evaluation.datasets.dataset import Dataset, DatasetError, DatasetOptions, Example
from service.tools.evaluation.datasets.files import csv_rows, json_rows
from service.tools.evaluation.datasets.folder import folder_dataset
from service.tools.evaluation.datasets.image_store import ImageStore
from service.tools.evaluation.datasets.rows import Row, example_of

LABELS_FILES = ("metadata.csv", "metadata.jsonl", "metadata.parquet", "labels.csv", "labels.jsonl", "labels.parquet")
"""A folder with one of these is read by it."""


def read_dataset(source: Path, options: DatasetOptions, store: ImageStore) -> Dataset:
    """Return the examples of a folder, a labels file or a dataset on disk; images inside of files go to the store.

    Raises `DatasetError` for what cannot be read, with its place.
    """
    if not source.exists():
        raise DatasetError(place=source, detail="there is no such file or folder")
    if not source.is_dir():
        return _of_rows(source, _file_rows(source, store), options)
    if any((source / name).is_file() for name in DISK_FILES):
        return _of_rows(source, disk_rows(source, store), options)
    labels = next((source / name for name in LABELS_FILES if (source / name).is_file()), None)
    return folder_dataset(source, options) if labels is None else _of_rows(labels, _file_rows(labels, store), options)


def _file_rows(path: Path, store: ImageStore) -> Iterator[Row]:
    match path.suffix.lower():
        case ".csv":
            return csv_rows(path, folder=path.parent)
        case ".jsonl" | ".ndjson":
            return json_rows(path, folder=path.parent)
        case ".parquet":
            return parquet_rows(path, store, folder=path.parent)
        case _:
            detail = "the form is unknown; known are a folder, .csv, .jsonl (.ndjson) and .parquet"
            raise DatasetError(place=path, detail=detail)


def _of_rows(path: Path, rows: Iterator[Row], options: DatasetOptions) -> Dataset:
    examples: list[Example] = []
    for row in rows:
        if len(examples) == options.max_examples:
            raise row.fault(f"it has more than {options.max_examples:,} images: draw a sample")
        examples.append(example_of(row, options))
    if not examples:
        raise DatasetError(place=path, detail="it has no rows")
    return Dataset(str(path), examples, categories=options.categories)
