"""Labelled images, whatever form they are stored in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

from service.client.upload_events import Unusable
from service.core.errors import FatalError
from service.telemetry.plain_text import one_line

NONE = "none"
"""The label of an image that shows no category; policies cannot have a category of this name."""

MAX_EXAMPLES = 2_000_000
"""Each takes about a kilobyte of memory while it is evaluated."""


class DatasetError(FatalError):
    """A dataset cannot be used as it is."""

    reason = "dataset.invalid"
    message = "{place}: {detail}"


def _location(value: object) -> Path | str:
    """Return a file's path where a text is no URL."""
    if isinstance(value, Path):
        return value
    if not isinstance(value, str):
        raise ValueError("a path or a URL was expected")  # noqa: TRY004 - pydantic reports no other error of a value
    return value if "://" in value else Path(value)


Location = Annotated[Path | str, PlainValidator(_location)]
"""A file on this machine, or a URL."""

Names = Annotated[frozenset[str], PlainSerializer(sorted)]
"""Written in the order of the alphabet, so that equal files are equal byte by byte."""


@dataclass(frozen=True, slots=True)
class Example:
    """One image with what people say of it."""

    image_id: str
    """Its path in the dataset, or its URL's host and path."""
    place: str
    """Where its label stands: a file with a line, or a folder."""
    location: Location
    categories: Names
    """The categories that it shows."""
    labelled: Names | None = None
    """The categories that the labels are about: of others it is unknown whether the image shows them. None: all that
    the dataset labels anywhere."""
    tags: Mapping[str, Names] = field(default_factory=dict)
    """The right values by attribute."""
    tenant: str = "default"
    caption: str | None = None
    split: str | None = None
    """The part of the dataset that it belongs to, such as train or test."""
    sha256: str | None = None
    """Of the file, as the dataset has it; the file is refused if it differs."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Every further column, for slices."""
    weight: float = 1.0
    """How many images it stands for, where it was drawn as a sample."""


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """How a dataset's words are read."""

    categories: frozenset[str]
    """The categories that labels may name."""
    label_map: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The categories of labels that are none themselves; an empty tuple for a label without harm."""
    max_examples: int = MAX_EXAMPLES
    """A dataset with more is refused as soon as that shows."""


@dataclass(frozen=True)
class Dataset:
    """All examples of a dataset, and the files of it that are no examples."""

    source: str
    examples: Sequence[Example]
    left_out: Sequence[Unusable] = ()
    categories: frozenset[str] = frozenset()
    """Categories that labels could have named."""
    about: frozenset[str] | None = None
    """The categories that the labels of the whole dataset are about, of which this is a part; None for a whole one."""

    @cached_property
    def labelled(self) -> frozenset[str]:
        """The categories that any label is about: all that there are, where every image is labelled as without harm."""
        if self.about is not None:
            return self.about
        found: set[str] = set()
        for each in self.examples:
            found |= each.categories | (each.labelled or frozenset())
        return frozenset(found) or self.categories

    def is_about(self, example: Example, category: str) -> bool:
        """Return whether it is known if an example shows a category."""
        return category in (self.labelled if example.labelled is None else example.labelled | example.categories)

    def part(self, split: str | None) -> "Dataset":
        """Return the examples of one split, or all; raise `DatasetError` if there are none."""
        if split is None:
            return self
        found = [each for each in self.examples if each.split == split]
        if not found:
            known = ", ".join(sorted({each.split for each in self.examples if each.split})) or "none"
            raise DatasetError(place=self.source, detail=f"no example is of the split {split!r}; splits are: {known}")
        return replace(self, examples=found, about=self.labelled)


def categories_of(labels: Iterable[str], options: DatasetOptions, place: str) -> frozenset[str]:
    """Return the categories that labels stand for; raise `DatasetError` for a label that is no category."""
    found: set[str] = set()
    for label in labels:
        if label in options.label_map:
            found |= {each for each in options.label_map[label] if each != NONE}
        elif label in options.categories:
            found.add(label)
        elif label != NONE:
            raise DatasetError(place=place, detail=_unknown(label, options))
    return frozenset(found)


def _unknown(label: str, options: DatasetOptions) -> str:
    known = ", ".join(sorted(options.categories))
    return (
        f"the label {one_line(label, at_most=80)!r} is no category: map it with --map LABEL=CATEGORY or --map-file,"
        f" write {NONE!r} for an image without harm, name one of {known}, or take a policy that has this category"
    )
