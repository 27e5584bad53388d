"""Pure: one row of a labels file, a Parquet file or a dataset on disk → an example."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson
from pydantic import TypeAdapter, ValidationError

from schemas.base import Identifier
from schemas.image_uploaded import DEFAULT_TENANT, MAX_CAPTION_CHARACTERS
from service.client.upload_events import SCHEMES, image_id_of, name_of_url
from service.telemetry.plain_text import one_line
from service.tools.evaluation.datasets.dataset import DatasetError, DatasetOptions, Example, categories_of

IMAGE_COLUMNS = ("image", "file_name", "path", "url")
"""The first that a row has names its image; `file_name` is what Hugging Face's image folders have."""
LABEL_COLUMNS = ("labels", "label", "category", "categories")
_OTHERS = ("image_id", "labelled", "tags", "tenant", "caption", "split", "sha256", "weight")
RESERVED = frozenset({*IMAGE_COLUMNS, *LABEL_COLUMNS, *_OTHERS})
"""Columns with a meaning; each further one divides the figures into slices."""

TAG_PREFIX = "tags."
"""A column `tags.colours` holds the right values of one attribute."""

MAX_SLICE_CHARACTERS = 200

_SHA256 = re.compile("[0-9a-f]{64}")
_SEPARATOR = re.compile("[;|]")
_IDENTIFIER: TypeAdapter[str] = TypeAdapter(Identifier)


@dataclass(frozen=True, slots=True)
class Row:
    """One row, and where it stands."""

    content: Mapping[str, object]
    place: str
    folder: Path
    """What file names are relative to; none may lead out of it."""
    split: str | None = None
    """Of the whole file, where the row does not say."""
    stored_image: Path | None = None
    """The image, where the row itself held it."""

    def fault(self, detail: str) -> DatasetError:
        """Return the error that something is wrong with the row."""
        return DatasetError(place=self.place, detail=detail)

    def text(self, column: str) -> str | None:
        """Return a column's text; None if it is empty."""
        value = self.content.get(column)
        if value is None or value == "":
            return None
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise self.fault(f"{column}: a text was expected")
        return str(value)


def example_of(row: Row, options: DatasetOptions) -> Example:
    """Return the example of a row; raise `DatasetError` for what cannot be used."""
    location, image_id = _image(row)
    sha256 = _sha256(row)
    if isinstance(location, str) and sha256 is None:
        raise row.fault("sha256 is missing: what a URL leads to may change, so its file is checked")
    return Example(
        image_id=_identifier(row, "image_id", row.text("image_id") or image_id),
        place=row.place,
        location=location,
        categories=categories_of(_labels(row), options, row.place),
        labelled=_labelled(row, options),
        tags=_tags(row),
        tenant=_identifier(row, "tenant", row.text("tenant") or DEFAULT_TENANT),
        caption=_caption(row),
        split=row.text("split") or row.split,
        sha256=sha256,
        columns=_columns(row),
        weight=_weight(row),
    )


def _image(row: Row) -> tuple[Path | str, str]:
    """Return where the image is, and a name for it."""
    column = next((name for name in IMAGE_COLUMNS if isinstance(row.content.get(name), str)), None)
    named = row.text(column) if column else None
    if row.stored_image is not None:
        return row.stored_image, named or row.place
    if named is None:
        raise row.fault(f"no image is named; one of the columns {', '.join(IMAGE_COLUMNS)} names a file or a URL")
    if "://" in named:
        return _url(row, named)
    return inside(row.folder, named, row.place), named


def _url(row: Row, url: str) -> tuple[str, str]:
    if url.partition("://")[0].lower() == "file":
        raise row.fault("a file is named by its path, relative to the file of labels")
    try:
        return url, name_of_url(url)
    except ValueError as error:
        schemes = ", ".join(scheme for scheme in SCHEMES if scheme != "file")
        raise row.fault(f"{error} (URLs may begin with {schemes})") from None


def inside(folder: Path, name: str, place: str) -> Path:
    """Return a file below a folder; raise `DatasetError` if the name leads out of it."""
    try:
        path = (folder / name).resolve()
    except (OSError, ValueError, RuntimeError):  # the last for a loop of links
        raise DatasetError(place=place, detail="no file can have the name that stands there") from None
    if not path.is_relative_to(folder.resolve()):
        detail = f"{one_line(name, at_most=120)!r} leads out of {folder}, where the dataset's files are"
        raise DatasetError(place=place, detail=detail)
    return path


def _labels(row: Row) -> Iterable[str]:
    column = next((name for name in LABEL_COLUMNS if name in row.content), None)
    if column is None:
        raise row.fault(f"no label; one of the columns {', '.join(LABEL_COLUMNS)} holds the categories")
    labels = _list(row, column)
    if labels is None:
        raise row.fault(f"{column} is empty: write none for an image that shows no category")
    return labels


def _labelled(row: Row, options: DatasetOptions) -> frozenset[str] | None:
    names = _list(row, "labelled")
    return None if names is None else categories_of(names, options, f"{row.place}, labelled")


def _list(row: Row, column: str) -> tuple[str, ...] | None:
    """Return a list, which a text holds as JSON or with ; or | between its entries; None if it is not set."""
    value = row.content.get(column)
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _json(row, column, value)
    if isinstance(value, str):
        value = [part.strip() for part in _SEPARATOR.split(value) if part.strip()] or None
    if value is None:
        return None
    entries = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(entry, str | int) and not isinstance(entry, bool) for entry in entries):
        raise row.fault(f"{column}: a list of texts was expected")
    return tuple(str(entry) for entry in entries)


def _json(row: Row, column: str, text: str) -> object:
    try:
        content: object = orjson.loads(text)
    except ValueError:
        raise row.fault(f"{column}: this is no JSON") from None
    return content


def _tags(row: Row) -> Mapping[str, frozenset[str]]:
    content = row.content.get("tags") or {}
    if isinstance(content, str):
        content = _json(row, "tags", content)
    if not isinstance(content, Mapping):
        raise row.fault("tags: an object with values by attribute was expected")
    whole = Row({str(name): value for name, value in content.items()}, row.place, row.folder)
    found = {name: _list(whole, name) for name in whole.content}
    single = [name for name in row.content if name.startswith(TAG_PREFIX)]
    found |= {name[len(TAG_PREFIX) :]: _list(row, name) for name in single}
    return {name: frozenset(values) for name, values in found.items() if values is not None}


def _identifier(row: Row, column: str, text: str) -> str:
    try:
        return _IDENTIFIER.validate_python(image_id_of(text) if column == "image_id" else text)
    except ValidationError:
        raise row.fault(f"{column}: 1 to 256 characters and none for control were expected") from None


def _caption(row: Row) -> str | None:
    caption = row.text("caption")
    if caption is not None and len(caption) > MAX_CAPTION_CHARACTERS:
        raise row.fault(f"caption: at most {MAX_CAPTION_CHARACTERS} characters were expected")
    return caption


def _sha256(row: Row) -> str | None:
    text = row.text("sha256")
    if text is None:
        return None
    if not _SHA256.fullmatch(text.lower()):
        raise row.fault("sha256: 64 hexadecimal digits were expected")
    return text.lower()


def _weight(row: Row) -> float:
    text = row.text("weight")
    try:
        weight = 1.0 if text is None else float(text)
    except ValueError:
        weight = math.nan
    if not 0.0 < weight < math.inf:
        raise row.fault("weight: a number above 0 was expected")
    return weight


def _columns(row: Row) -> Mapping[str, str]:
    names = [name for name in row.content if name not in RESERVED and not name.startswith(TAG_PREFIX)]
    return {
        name: str(value)[:MAX_SLICE_CHARACTERS]
        for name in names
        if isinstance(value := row.content[name], str | int | float) and value != ""
    }
