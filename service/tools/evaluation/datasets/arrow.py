"""Reads Parquet files, and datasets that Hugging Face's `save_to_disk` wrote, without its package."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from service.telemetry.plain_text import one_line
from service.tools.evaluation.datasets.dataset import MAX_EXAMPLES, DatasetError
from service.tools.evaluation.datasets.image_store import ImageStore
from service.tools.evaluation.datasets.rows import IMAGE_COLUMNS, Row, inside

DISK_FILES = ("dataset_dict.json", "state.json")
"""A folder with one of these was written by `save_to_disk`: splits in sub-folders, or one split."""

_AT_ONCE = 32
"""Rows in Python's memory; each may hold an image."""

_SMALL_FILE_BYTES = 4 * 1024 * 1024
_MESSAGE_CHARACTERS = 300

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class _Source:
    """A file that rows come from."""

    path: Path
    folder: Path
    store: ImageStore
    split: str | None = None


def parquet_rows(path: Path, store: ImageStore, *, folder: Path) -> Iterator[Row]:
    """Yield the rows of a Parquet file; raise `DatasetError` for what is no such file.

    Images inside of it are put into the store.
    """
    with _errors(path), pyarrow.parquet.ParquetFile(path) as file:
        yield from _rows(file.schema_arrow, file.iter_batches(_AT_ONCE), _Source(path, folder, store))


def parquet_columns(path: Path) -> Sequence[str]:
    """Return the names of a Parquet file's columns; raise `DatasetError` for what is no such file."""
    with _errors(path):
        names: Sequence[str] = pyarrow.parquet.read_schema(path).names
        return names


def disk_rows(folder: Path, store: ImageStore) -> Iterator[Row]:
    """Yield the rows of a dataset on disk, of all its splits; raise `DatasetError` for what is none."""
    index = folder / "dataset_dict.json"
    if index.is_file():
        for split in _names(index, _content(index).get("splits")):
            yield from _split_rows(inside(folder, split, str(index)), store, split)
    else:
        yield from _split_rows(folder, store, None)


def _split_rows(folder: Path, store: ImageStore, split: str | None) -> Iterator[Row]:
    state = folder / "state.json"
    content = _content(state)
    if content.get("_indices_data_files"):
        raise DatasetError(
            place=state, detail="its rows are selected by indices: flatten_indices() before save_to_disk"
        )
    files = content.get("_data_files")
    names = [each.get("filename") for each in files if isinstance(each, Mapping)] if isinstance(files, list) else None
    for name in _names(state, names):
        path = inside(folder, name, str(state))
        with _errors(path), pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
            yield from _rows(reader.schema, _validated(reader), _Source(path, folder, store, split))


def _content(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as file:
            text = file.read(_SMALL_FILE_BYTES)
        content = json.loads(text)
    except (OSError, ValueError, RecursionError):
        raise DatasetError(place=path, detail="it cannot be read, or is no JSON") from None
    if not isinstance(content, Mapping):
        raise DatasetError(place=path, detail="an object was expected")
    return content


def _names(path: Path, names: object) -> Sequence[str]:
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DatasetError(place=path, detail="it names no files: this was not written by save_to_disk")
    return names


def _validated(batches: Batches) -> Batches:
    """Check what a stream says of its own buffers, before any is read: an Arrow file may be hostile."""
    for batch in batches:
        batch.validate(full=True)
        yield batch


def _rows(schema: pa.Schema, batches: Batches, source: _Source) -> Iterator[Row]:
    image, names = _image_column(schema), _class_names(schema)
    number = 0
    for batch in batches:
        for start in range(0, batch.num_rows, _AT_ONCE):
            for content in batch.slice(start, _AT_ONCE).to_pylist():
                number += 1
                place = f"{source.path}, row {number}"
                if number > MAX_EXAMPLES:
                    raise DatasetError(place=place, detail=f"it has more than {MAX_EXAMPLES} rows: divide it")
                yield _row(_named(content, names, place), image, place, source)


def _row(content: dict[str, object], image: str | None, place: str, source: _Source) -> Row:
    value = content.pop(image, None) if image else None
    stored = None
    if isinstance(value, Mapping):
        content["image"] = value.get("path")
        data = value.get("bytes")
        stored = source.store.keep(data)[1] if isinstance(data, bytes) and data else None
    return Row(content, place, source.folder, source.split, stored)


def _image_column(schema: pa.Schema) -> str | None:
    """Return the column whose values hold image files: structs of bytes and a path."""
    found = [
        field.name for field in schema if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
    ]
    return min(found, key=lambda name: (name not in IMAGE_COLUMNS, name), default=None)


def _class_names(schema: pa.Schema) -> Mapping[str, Sequence[str]]:
    """Return the names of classes by column, from what Hugging Face's package writes beside the schema."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    if not isinstance(features, Mapping):
        return {}
    found = {name: _names_of(feature) for name, feature in features.items()}
    return {name: names for name, names in found.items() if names}


def _names_of(feature: object) -> Sequence[str]:
    """Return the names of a class label, or of a list of them; empty for another feature."""
    if isinstance(feature, list):
        feature = feature[0] if feature else None
    if not isinstance(feature, Mapping):
        return ()
    if feature.get("_type") != "ClassLabel":
        return _names_of(feature.get("feature"))
    names = feature.get("names")
    return [str(name) for name in names] if isinstance(names, list) else ()


def _named(content: Mapping[str, object], names: Mapping[str, Sequence[str]], place: str) -> dict[str, object]:
    """Return a row with names for the numbers of classes."""
    named = dict(content)
    for column in names.keys() & named.keys():
        value, known = named[column], names[column]
        if isinstance(value, list):
            named[column] = [_name(each, known, f"{place}, {column}") for each in value]
        elif value is not None:
            named[column] = _name(value, known, f"{place}, {column}")
    return named


def _name(number: object, names: Sequence[str], place: str) -> str:
    if not isinstance(number, int) or not 0 <= number < len(names):
        raise DatasetError(place=place, detail=f"{number!r} is no number of its {len(names)} classes")
    return names[number]


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, ValueError, OverflowError, KeyError) as error:  # the last: a zone that Python has not
        detail = one_line(str(error), at_most=_MESSAGE_CHARACTERS)
        raise DatasetError(place=path, detail=f"it cannot be read: {detail}") from None
    except OSError as error:
        raise DatasetError(place=path, detail=f"it cannot be read: {error.strerror or error}") from error
