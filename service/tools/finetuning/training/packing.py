"""Several images and their questions as one sequence, in which what they have in common is computed once.

All images stand after the same policy text, and several questions after each image. One sequence holds the text, the
images and the questions; a mask lets every question see the text, its own image and itself. The result is that of whole
prompts, for a fraction of the work, and gradient checkpointing works as for any sequence.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from service.tools.finetuning.encoding import EncodedImage, EncodedQuestion
from service.tools.finetuning.training_errors import UnusableExampleError

_MERGE = 2
"""Patches that one vision token covers, each way."""
_COMMON = -1
"""The image number of the policy text, and the question number of text and images."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One sequence for the model, of N tokens."""

    ids: Any
    """Token ids, shape (1, N)."""
    places: Any
    """Position in time, row and column, shape (3, 1, N), as the model counts them in whole prompts."""
    mask: Any
    """Whether a token (row) sees another one (column), shape (1, 1, N, N)."""
    pixels: Any
    """Patches of all images, shape (patches, values of a patch)."""
    grid: Any
    """Patches of each image in time, down and across, shape (images, 3)."""
    read_at: Any
    """Indices in the sequence at which answers are read, shape (R,)."""
    rows: Any
    """Index in `read_at` for each target, shape (T,)."""
    tokens: Any
    """Right token for each target, shape (T,)."""
    shares: Any
    """Weight of each target, shape (T,): its share times the question's weight."""
    questions: Sequence[EncodedQuestion]
    """In the order of their targets."""

    def to(self, device: str) -> "Pass":
        """Return the same on a device."""
        names = ("ids", "places", "mask", "pixels", "grid", "read_at", "rows", "tokens", "shares")
        return Pass(**{name: getattr(self, name).to(device) for name in names}, questions=self.questions)


@dataclass(frozen=True, slots=True)
class Packer:
    """Makes sequences of images."""

    prefix: Sequence[int]
    """Token ids before every image."""
    image_token: int
    processor: Any
    """Of images, as transformers has it: the one that the engine calls."""
    size: dict[str, int]
    """Bounds of images in pixels, as the engine has them (`arguments.image_sizes`)."""
    tokens_a_pass: int
    """Most tokens of a sequence, where one image with its questions does not take more by itself."""

    def passes(self, images: Iterable[EncodedImage]) -> Iterator[Pass]:
        """Yield the sequences of images, in their order."""
        waiting: list[tuple[EncodedImage, Any]] = []
        tokens = len(self.prefix)
        for image in images:
            seen = self._seen(image)
            added = _vision_tokens(seen["image_grid_thw"][0]) + sum(len(each.ids) for each in image.questions)
            if waiting and tokens + added > self.tokens_a_pass:
                yield self._pass(waiting)
                waiting, tokens = [], len(self.prefix)
            waiting.append((image, seen))
            tokens += added
        if waiting:
            yield self._pass(waiting)

    def _seen(self, image: EncodedImage) -> Any:
        try:
            with Image.open(image.path) as file:
                pixels = file.convert("RGB")
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise UnusableExampleError(image=image.image_id, detail=f"{image.path} cannot be read: {error}") from error
        return self.processor(images=[pixels], size=self.size, return_tensors="pt")

    def _pass(self, images: Sequence[tuple[EncodedImage, Any]]) -> Pass:
        written = _Sequence(self.prefix)
        for image, seen in images:
            _, height, width = (int(side) for side in seen["image_grid_thw"][0])
            written.add_image(self.image_token, height // _MERGE, width // _MERGE)
            for question in image.questions:
                written.add_question(question)
        return Pass(
            ids=torch.tensor([written.ids]),
            places=torch.tensor(np.array(written.places).T[:, None, :]),
            mask=torch.from_numpy(_mask(np.array(written.image_of), np.array(written.question_of))[None, None]),
            pixels=torch.cat([seen["pixel_values"] for _, seen in images]),
            grid=torch.cat([seen["image_grid_thw"] for _, seen in images]),
            read_at=torch.tensor(written.read_at),
            rows=torch.tensor(written.rows),
            tokens=torch.tensor(written.tokens),
            shares=torch.tensor(written.shares),
            questions=written.questions,
        )


class _Sequence:
    """A sequence while it is written."""

    def __init__(self, prefix: Sequence[int]) -> None:
        self.ids = [*prefix]
        self.places = [(place,) * 3 for place in range(len(prefix))]
        self.image_of = [_COMMON] * len(prefix)
        self.question_of = [_COMMON] * len(prefix)
        self.read_at: list[int] = []
        self.rows: list[int] = []
        self.tokens: list[int] = []
        self.shares: list[float] = []
        self.questions: list[EncodedQuestion] = []
        self._start = len(prefix)
        self._after_image = self._start
        self._images = 0

    def add_image(self, token: int, rows: int, columns: int) -> None:
        """Add an image of so many vision tokens each way, behind the policy text."""
        self._extend([token] * (rows * columns), _COMMON, image=self._images)
        start = self._start
        self.places += [(start, start + row, start + column) for row in range(rows) for column in range(columns)]
        self._after_image = start + max(rows, columns)
        self._images += 1

    def add_question(self, question: EncodedQuestion) -> None:
        """Add a question about the last image."""
        start = len(self.ids)
        self._extend(question.ids, len(self.questions), image=self._images - 1)
        self.places += [(self._after_image + place,) * 3 for place in range(len(question.ids))]
        read: dict[int, int] = {}
        for target in question.targets:
            if target.place not in read:
                read[target.place] = len(self.read_at)
                self.read_at.append(start + target.place)
            self.rows.append(read[target.place])
            self.tokens.append(target.token)
            self.shares.append(target.share * question.weight)
        self.questions.append(question)

    def _extend(self, ids: Iterable[int], question: int, *, image: int) -> None:
        before = len(self.ids)
        self.ids += ids
        added = len(self.ids) - before
        self.image_of += [image] * added
        self.question_of += [question] * added


def _mask(image_of: np.ndarray[Any, Any], question_of: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return what each token (row) sees: what comes before it of the text, of its image, and of its own question."""
    is_earlier = np.tri(len(image_of), dtype=bool)
    same_image = (image_of[None, :] == _COMMON) | (image_of[None, :] == image_of[:, None])
    same_question = (question_of[None, :] == _COMMON) | (question_of[None, :] == question_of[:, None])
    mask: np.ndarray[Any, Any] = is_earlier & same_image & same_question
    return mask


def _vision_tokens(grid: Any) -> int:
    return int(grid.prod()) // _MERGE**2
