"""Writes the folder of prepared data: images, examples by split, labels, and last the manifest."""

import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from service.core.errors import FatalError
from service.core.instructions import ModelInstructions
from service.core.pixels import RgbPixels
from service.inference.vision.labels import NONE
from service.inference.vision.prompt import Prompter
from service.tools.evaluation.report.whole_file import write_whole
from service.tools.finetuning.examples import (
    LABELS_FILE,
    MANIFEST_FILE,
    SPLITS,
    ExampleLine,
    Manifest,
    PreparedPolicy,
    Split,
    examples_file,
)
from service.tools.finetuning.image_questions import LabelledImage, Question, QuestionWriter
from service.tools.finetuning.weights import balance

IMAGES = "images"
_PARTIAL = ".partial"


class PreparedFolderError(FatalError):
    """The folder for prepared data cannot be written."""

    reason = "finetune.folder"
    message = "{folder}: {detail}"


@dataclass(frozen=True, slots=True)
class PreparedFor:
    """What the questions come from."""

    policy: PreparedPolicy
    instructions: ModelInstructions
    prompter: Prompter
    seed: int


class PreparedFolder:
    """A folder that is being written. Without its manifest, which comes last, it is no prepared data."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, *, replace: bool) -> None:
        """Make the folder; raise `PreparedFolderError` where something else is in the way.

        What an interrupted preparation left is written over; complete data only with `replace`.
        """
        known = {MANIFEST_FILE, LABELS_FILE, IMAGES, *map(examples_file, SPLITS)}
        with _errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            found = (each.name for each in self.path.iterdir())
            foreign = sorted(name for name in found if name not in known and not name.endswith(_PARTIAL))
            if foreign:
                raise PreparedFolderError(folder=self.path, detail=f"it holds other files, such as {foreign[0]!r}")
            manifest = self.path / MANIFEST_FILE
            if manifest.exists() and not replace:
                detail = "it holds prepared data already: name another folder, or give --replace"
                raise PreparedFolderError(folder=self.path, detail=detail)
            manifest.unlink(missing_ok=True)

    def keep_pixels(self, sha256: str, pixels: RgbPixels) -> None:
        """Write an image's pixels as PNG; raises `PreparedFolderError`."""
        path = self.path / image_file(sha256)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        with _errors(self.path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, buffer.getvalue())

    def write(
        self, images: Sequence[LabelledImage], writer: QuestionWriter, of: PreparedFor, left_out: Mapping[str, int]
    ) -> Manifest:
        """Write everything but the pixels, and delete pixels of no image; raises `PreparedFolderError`.

        The images are written in the order of their hashes, which is the same for every seed.
        """
        ordered = sorted(images, key=lambda image: (image.sha256, image.caption or ""))
        with _errors(self.path):
            self._delete_others({image.image for image in images})
            files, examples, data_hash = self._write_examples(ordered, writer, of)
            labels = self._write_labels(ordered)
            manifest = Manifest(
                data_hash=data_hash,
                prompt_hash=of.prompter.hash,
                policy=of.policy,
                instructions=of.instructions,
                seed=of.seed,
                images=_by_split(image.split for image in images),
                examples=examples,
                categories=counts_by_category(images),
                files=files,
                labels=labels,
                left_out=left_out,
            )
            write_whole(self.path / MANIFEST_FILE, manifest.model_dump_json(indent=2).encode() + b"\n")
        return manifest

    def _write_examples(
        self, images: Sequence[LabelledImage], writer: QuestionWriter, of: PreparedFor
    ) -> tuple[Mapping[Split, str], Mapping[Split, int], str]:
        training = balance(each for image in images if image.split == "train" for each in writer.questions(image))
        digests = {split: hashlib.sha256() for split in SPLITS}
        data = hashlib.sha256(of.prompter.hash.encode())
        counts: Counter[Split] = Counter()
        with ExitStack() as stack:
            files = {split: stack.enter_context(_replaced(self.path / examples_file(split))) for split in SPLITS}
            for image in images:
                for question in writer.questions(image):
                    weight = training.weight(question) if image.split == "train" else 1.0
                    line = _line(image, question, weight)
                    files[image.split].write(line)
                    digests[image.split].update(line)
                    counts[image.split] += 1
                    data.update(_identity(image, question, weight))
        found = {split: digest.hexdigest() for split, digest in digests.items()}
        return found, {split: counts[split] for split in SPLITS}, data.hexdigest()

    def _write_labels(self, images: Iterable[LabelledImage]) -> str:
        """Write the file, and return its SHA-256."""
        digest = hashlib.sha256()
        with _replaced(self.path / LABELS_FILE) as file:
            for image in images:
                line = _labels(image)
                file.write(line)
                digest.update(line)
        return digest.hexdigest()

    def _delete_others(self, wanted: set[str]) -> None:
        """Delete what an earlier preparation into this folder left: images that the data no longer has."""
        for path in (self.path / IMAGES).glob("*/*"):
            if path.relative_to(self.path).as_posix() not in wanted:
                path.unlink()


def image_file(sha256: str) -> str:
    """Return the file of an image's pixels, relative to the folder."""
    return f"{IMAGES}/{sha256[:2]}/{sha256}.png"


def counts_by_category(images: Iterable[LabelledImage]) -> Mapping[str, Mapping[Split, int]]:
    """Return the images that show each category, by split; `none` counts those that show none."""
    found: dict[str, Counter[Split]] = {}
    for image in images:
        for name in image.shown or ({NONE} if image.is_harmless else ()):
            found.setdefault(name, Counter())[image.split] += 1
    return {name: {split: found[name][split] for split in SPLITS} for name in sorted(found)}


def _by_split(splits: Iterable[Split]) -> Mapping[Split, int]:
    counts = Counter(splits)
    return {split: counts[split] for split in SPLITS}


def _line(image: LabelledImage, question: Question, weight: float) -> bytes:
    line = ExampleLine(
        image=image.image,
        image_id=image.image_id,
        group=image.group,
        kind=question.kind,
        question=question.text,
        targets=question.targets,
        answer=question.answer,
        weight=weight,
    )
    return line.model_dump_json().encode() + b"\n"


def _identity(image: LabelledImage, question: Question, weight: float) -> bytes:
    """Return what the data's hash is about: not names of files or images."""
    targets = sorted(question.targets.items())
    asked = [question.kind, question.text, targets, question.answer, weight]
    return json.dumps([image.sha256, image.split, *asked]).encode()


def _labels(image: LabelledImage) -> bytes:
    """Return a line as `modstream evaluate` reads it."""
    line = {
        "image": image.image,
        "image_id": image.image_id,
        "labels": sorted(image.shown) or [NONE],
        "labelled": sorted(image.shown | image.absent),
        "tags": {name: sorted(values) for name, values in sorted(image.tags.items())},
        "split": image.split,
    } | ({"caption": image.caption} if image.caption else {})
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


@contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    """Give a file that takes the place of another when it is complete."""
    partial = path.with_name(f".{path.name}{_PARTIAL}")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        detail = f"{error.filename or 'a file'} cannot be written: {error.strerror or error}"
        raise PreparedFolderError(folder=folder, detail=detail) from None
