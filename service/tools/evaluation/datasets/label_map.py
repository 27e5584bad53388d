"""Reads which categories a dataset's labels stand for: `--map LABEL=CATEGORY`, or a file of them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import RootModel

from service.core.documents import open_document
from service.core.errors import FatalError
from service.tools.evaluation.datasets.dataset import NONE


class LabelMapError(FatalError):
    """A file that maps labels to categories cannot be used."""

    reason = "dataset.invalid_label_map"
    message = "{path}, line {line}: {detail}"


class LabelMapOptionError(FatalError):
    """An option that maps a label to categories cannot be used."""

    reason = "dataset.invalid_label_option"
    message = "--map {text}: {detail}"


class _LabelMap(RootModel[Mapping[str, str | tuple[str, ...]]]):
    """A file with a category, or a list of them, for each label."""


def read_label_map(
    options: Iterable[str], file: Path | None, *, categories: frozenset[str]
) -> Mapping[str, tuple[str, ...]]:
    """Return the categories of each label; an option takes precedence over the file.

    Raises `LabelMapError` or `LabelMapOptionError` for what cannot be read, and for unknown categories.
    """
    found: dict[str, tuple[str, ...]] = {}
    if file is not None:
        found |= _of_file(file, categories)
    for text in options:
        label, separator, names = text.rpartition("=")
        if not separator or not label:
            raise LabelMapOptionError(text=text, detail="it is written LABEL=CATEGORY")
        found[label] = tuple(names.split(","))
        if detail := _fault(found[label], categories):
            raise LabelMapOptionError(text=text, detail=detail)
    return found


def _of_file(file: Path, categories: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
    document = open_document(file, LabelMapError)
    content = document.check(_LabelMap).result().root
    found = {label: (names,) if isinstance(names, str) else names for label, names in content.items()}
    for label, names in found.items():
        if detail := _fault(names, categories):
            raise document.problem(detail, label)
    return found


def _fault(names: Iterable[str], categories: frozenset[str]) -> str | None:
    unknown = [name for name in names if name not in categories and name != NONE]
    known = ", ".join(sorted(categories))
    return f"{unknown[0]!r} is no category; known are {NONE} and {known}" if unknown else None
