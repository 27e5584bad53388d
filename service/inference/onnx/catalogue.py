"""The catalogue file: the classifiers of the ONNX engine, and the meaning of their classes."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.core import yaml_text
from service.core.validation_text import placed_text_of
from service.inference.errors import EngineConfigurationError

SETTING = "engine.onnx.classifiers"

# Pictures up to this much longer than they are high (or higher than long) reach the classifiers at full resolution.
MAX_FULL_RESOLUTION_ASPECT = 5

Share = Annotated[float, Field(gt=0.0, le=1.0)]


class Triple(NamedTuple):
    """Three numbers, one for each colour channel."""

    red: float
    green: float
    blue: float


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Preprocessing(_Part):
    """Steps from pixels to a model's input: crop, resize, map bytes to `range`, then (x - mean) / deviation."""

    side: Annotated[int, Field(gt=0, le=1024)]
    """The input is a square of side × side pixels."""
    centre: Share | None = None
    """Take the middle square of this share of the shorter side; not set squeezes the whole picture into the square."""
    resampling: Literal["bilinear_aligned", "bilinear", "bicubic"]
    """bilinear_aligned: corners aligned and no smoothing, as TensorFlow.js resizes; the others are Pillow's."""
    range: tuple[float, float] = (0.0, 1.0)
    """What bytes 0 and 255 become."""
    mean: Triple = Triple(0.0, 0.0, 0.0)
    deviation: Triple = Triple(1.0, 1.0, 1.0)
    layout: Literal["nhwc", "nchw"] = "nhwc"


class CategorySource(_Part):
    """Classes whose probabilities add up to the score of a category."""

    classes: Mapping[int, str] = Field(min_length=1)
    """Label by index: the index counts, and the label must be the one that stands there."""
    hint: bool = False
    """May send to review, never block."""
    why: str
    """Why these classes mean this category."""


class TagSource(_Part):
    """Classes that become values of an attribute."""

    attribute: str
    floor: Share
    """Values below this probability are guesses and left out."""
    most: Annotated[int, Field(gt=0)]


class ClassifierEntry(_Part):
    """One classifier as in the catalogue file; paths are relative to the file."""

    name: Annotated[str, Field(min_length=1)]
    file: Path
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    licence: str
    source: str
    labels: tuple[str, ...] | Path
    """The classes in the output's order, or a text file with one a line."""
    output: Literal["probabilities", "logits"]
    """What the model's only output is: one number a class; logits go through a softmax."""
    preprocessing: Preprocessing
    categories: Mapping[str, CategorySource] = {}
    tags: TagSource | None = None


class _File(_Part):
    attribute_schema: str | None = None
    classifiers: Annotated[tuple[ClassifierEntry, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_classifier_a_category(self) -> Self:
        named = [name for entry in self.classifiers for name in entry.categories]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise ValueError(f"more than one classifier gives {', '.join(twice)}")
        return self

    @model_validator(mode="after")
    def _tags_have_a_schema(self) -> Self:
        if any(entry.tags for entry in self.classifiers) != (self.attribute_schema is not None):
            raise ValueError("attribute_schema names the schema of tags: give both or neither")
        return self


@dataclass(frozen=True, slots=True)
class Classifier:
    """A classifier whose labels are read and whose model file exists."""

    entry: ClassifierEntry
    labels: tuple[str, ...]
    path: Path

    def read_model(self) -> bytes:
        """Return the model file's bytes; raise `EngineConfigurationError` if the checksum differs."""
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise EngineConfigurationError(setting=SETTING, detail=f"{self.path}: {error.strerror}") from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.entry.sha256:
            detail = f"{self.path} is not the model {self.entry.name}: SHA-256 is {found}, not {self.entry.sha256}"
            raise EngineConfigurationError(setting=SETTING, detail=detail)
        return content


@dataclass(frozen=True)
class Catalogue:
    """The classifiers of the engine; each category comes from one of them."""

    attribute_schema: str | None
    classifiers: tuple[Classifier, ...]

    @property
    def covers(self) -> frozenset[str]:
        """The categories that get a score."""
        return frozenset(name for classifier in self.classifiers for name in classifier.entry.categories)

    @property
    def hints(self) -> frozenset[str]:
        """The covered categories whose scores can lead to review at most."""
        sources = (item for classifier in self.classifiers for item in classifier.entry.categories.items())
        return frozenset(name for name, source in sources if source.hint)

    @property
    def max_pixels(self) -> int:
        """The pixels beyond which no classifier uses more, up to the aspect that is still resolved in full."""
        needs = (classifier.entry.preprocessing for classifier in self.classifiers)
        edge = max(round(need.side / (need.centre or 1.0)) for need in needs)
        return edge * edge * MAX_FULL_RESOLUTION_ASPECT

    @cached_property
    def revision(self) -> str:
        """Checksum of all that scores depend on: model files, labels, preprocessing, meaning of classes."""
        content = [
            classifier.entry.model_dump(
                mode="json",
                include={"sha256", "output", "preprocessing", "tags"},
            )
            | {
                "labels": classifier.labels,
                "categories": {
                    name: {"classes": sorted(source.classes), "hint": source.hint}
                    for name, source in classifier.entry.categories.items()
                },
            }
            for classifier in self.classifiers
        ]
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()[:16]}"


def load_catalogue(path: Path | None) -> Catalogue:
    """Read a catalogue file, or the bundled one; raise `EngineConfigurationError` for what cannot be used.

    Model files are not read yet.
    """
    path = path or Path(str(files("service.inference.onnx").joinpath("models", "catalogue.yaml")))
    try:
        content = _File.model_validate(yaml_text.load(path.read_text(encoding="utf-8")))
        classifiers = tuple(_resolve(entry, path.parent) for entry in content.classifiers)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
        raise EngineConfigurationError(setting=SETTING, detail=f"{path}: {_first_line(error)}") from error
    return Catalogue(content.attribute_schema, classifiers)


def _resolve(entry: ClassifierEntry, folder: Path) -> Classifier:
    labels = entry.labels
    if isinstance(labels, Path):
        labels = tuple((folder / labels).read_text(encoding="utf-8").splitlines())
    for category, source in entry.categories.items():
        for index, label in source.classes.items():
            if not 0 <= index < len(labels) or labels[index] != label:
                detail = f"{entry.name}, {category}: class {index} is not {label!r}"
                raise EngineConfigurationError(setting=SETTING, detail=detail)
    return Classifier(entry, labels, folder / entry.file)


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return placed_text_of(error.errors(include_url=False)[0])
    return " ".join(str(error).split())
