"""What a model is trained on: questions about images with their right answers, and the folder that holds them."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from service.core.errors import FatalError
from service.core.instructions import ModelInstructions
from service.core.validation_text import text_of
from service.inference.vision.prompt import Prompt, prompter
from service.telemetry.plain_text import one_line

Split = Literal["train", "validation", "held_out"]
SPLITS: tuple[Split, ...] = get_args(Split)

Kind = Literal["which", "is_it", "describe"]
"""The list question, a yes/no question about one category, or the attributes of tags as JSON."""

MANIFEST_FILE = "manifest.json"
LABELS_FILE = "labels.jsonl"
"""The images with their labels, in the form that `modstream evaluate` reads; its splits are those of the folder."""

MAX_LINE_BYTES = 256 * 1024
"""A line holds a question with its caption, and tags at most: about ten kilobytes."""
MAX_MANIFEST_BYTES = 8 * 1024 * 1024
_Value = TypeVar("_Value")
_DIGEST = "^[0-9a-f]{64}$"
_MESSAGE_CHARACTERS = 200


class PreparedDataError(FatalError):
    """A folder does not hold prepared data that can be used."""

    reason = "finetune.invalid_data"
    message = "{place}: {detail}; prepare the data again: modstream finetune prepare DATASET --policy FILE --out FOLDER"


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """One question about one image, with what the answer should be."""

    image: Path
    """A PNG file of upright sRGB pixels, shape (height, width, 3): exactly the pixels that the engine would see."""
    image_id: str
    group: str
    """Near-duplicates share it; a split never divides a group."""
    split: Split
    kind: Kind
    prompt: Prompt
    """As the engine asks it."""
    targets: Mapping[str, float]
    """Shares by answer word that sum to 1: labels, or the prompt's own words for yes and no; empty for `describe`."""
    answer: str
    """The JSON text that answers `describe`; empty for the other kinds."""
    weight: float
    """How much the example counts in the loss; the weights of the split `train` have the mean 1."""


def _of_all_splits(given: Mapping[Split, _Value]) -> Mapping[Split, _Value]:
    """Return what is given by split, if no split is missing."""
    if missing := [split for split in SPLITS if split not in given]:
        raise ValueError(f"nothing is given for the split {missing[0]}")
    return given


class PreparedPolicy(BaseModel):
    """The policy whose questions the examples are."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    hash: str


class Manifest(BaseModel):
    """What a prepared folder holds, beside its examples and images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    data_hash: Annotated[str, Field(pattern=_DIGEST)]
    """SHA-256 over every image's SHA-256, its labels, split and questions: equal hash, equal training data."""
    prompt_hash: Annotated[str, Field(pattern=_DIGEST)]
    """SHA-256 of all questions without captions, as the engine reports it; see `Prompter.hash`."""
    policy: PreparedPolicy
    instructions: ModelInstructions
    """From these, `service.inference.vision.prompt.prompter` writes the same questions."""
    seed: int
    images: Annotated[Mapping[Split, Annotated[int, Field(ge=0)]], AfterValidator(_of_all_splits)]
    """Images by split."""
    examples: Annotated[Mapping[Split, Annotated[int, Field(ge=0)]], AfterValidator(_of_all_splits)]
    """Questions by split."""
    categories: Mapping[str, Mapping[Split, int]]
    """Images that show a category, by category and split; `none` counts those that show none."""
    files: Annotated[Mapping[Split, Annotated[str, Field(pattern=_DIGEST)]], AfterValidator(_of_all_splits)]
    """SHA-256 of each file of examples."""
    labels: Annotated[str, Field(pattern=_DIGEST)] | None = None
    """SHA-256 of the file of labels, by which an adapter is measured; None in folders of earlier releases."""
    left_out: Mapping[str, int] = {}
    """Images that are in no split, by reason code."""

    @property
    def instructions_hash(self) -> str:
        """SHA-256 of the instructions: the definitions, labels, attributes and vision tokens."""
        return hashlib.sha256(_INSTRUCTIONS.dump_json(self.instructions)).hexdigest()

    @property
    def vision_tokens(self) -> int:
        """Vision tokens of an image: one sees 32 × 32 pixels."""
        return self.instructions.vision_tokens


class ExampleLine(BaseModel):
    """One line of a file of examples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: Annotated[str, Field(pattern="^images/[0-9a-f]{2}/[0-9a-f]{64}\\.png$")]
    """Relative to the folder; it is named by the SHA-256 of the uploaded file."""
    image_id: str
    group: str
    kind: Kind
    question: str
    """After the image; what stands before it is the same for all of the instructions."""
    targets: Mapping[str, Annotated[float, Field(ge=0, le=1)]] = {}
    answer: str = ""
    weight: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


_INSTRUCTIONS: TypeAdapter[ModelInstructions] = TypeAdapter(ModelInstructions)


@dataclass(frozen=True, slots=True)
class PreparedData:
    """A folder of prepared data. Its examples are read one by one, so that they never are in memory together."""

    folder: Path
    manifest: Manifest
    system: str
    """What stands before every image."""

    def examples(self, split: Split) -> Iterator[TrainingExample]:
        """Yield the examples of a split in the file's order, which is the same in every run.

        Raises `PreparedDataError` for a file that is not as it was prepared.
        """
        path = self.folder / examples_file(split)
        digest, number = hashlib.sha256(), 0
        try:
            with path.open("rb") as file:
                while line := file.readline(MAX_LINE_BYTES + 1):
                    number += 1
                    digest.update(line)
                    yield self._example(line, split, f"{path}, line {number}")
        except OSError as error:
            raise PreparedDataError(place=path, detail=f"the file cannot be read: {error.strerror}") from None
        if digest.hexdigest() != self.manifest.files[split]:
            raise PreparedDataError(place=path, detail="the file has changed since it was prepared")

    def check_labels(self) -> None:
        """Raise `PreparedDataError` if the file of labels is not as it was prepared."""
        path, expected = self.folder / LABELS_FILE, self.manifest.labels
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise PreparedDataError(place=path, detail=f"the file cannot be read: {error.strerror}") from None
        if expected not in {None, found}:
            raise PreparedDataError(place=path, detail="the file has changed since it was prepared")

    def _example(self, line: bytes, split: Split, place: str) -> TrainingExample:
        try:
            read = ExampleLine.model_validate_json(line)
        except ValidationError as error:
            raise _invalid(place, error) from None
        return TrainingExample(
            image=self.folder / read.image,
            image_id=read.image_id,
            group=read.group,
            split=split,
            kind=read.kind,
            prompt=Prompt(self.system, read.question),
            targets=read.targets,
            answer=read.answer,
            weight=read.weight,
        )


def open_prepared(folder: Path) -> PreparedData:
    """Return the prepared data of a folder; raise `PreparedDataError` if it holds none, or a broken one."""
    path = folder / MANIFEST_FILE
    try:
        with path.open("rb") as file:
            content = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise PreparedDataError(place=path, detail=f"the file cannot be read: {error.strerror}") from None
    if len(content) > MAX_MANIFEST_BYTES:
        raise PreparedDataError(place=path, detail=f"the file has more than {MAX_MANIFEST_BYTES:,} bytes")
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise _invalid(path, error) from None
    prompts = prompter(manifest.instructions)
    if prompts.hash != manifest.prompt_hash:
        raise PreparedDataError(place=path, detail="this release asks other questions than the one that prepared it")
    return PreparedData(folder, manifest, prompts.system)


def examples_file(split: Split) -> str:
    """Return the name of a split's file of examples."""
    return f"{split}.examples.jsonl"


def _invalid(place: str | Path, error: ValidationError) -> PreparedDataError:
    fault = error.errors(include_url=False)[0]
    where = ".".join(str(step) for step in fault["loc"])
    return PreparedDataError(place=place, detail=one_line(f"{where}: {text_of(fault)}", at_most=_MESSAGE_CHARACTERS))
