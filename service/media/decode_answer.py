"""Reads the answer of a decoder process as untrusted input, because the process has read a hostile file."""

import itertools
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from service.core.errors import RejectedError
from service.core.pixels import RgbPixels
from service.media.errors import (
    AspectRatioError,
    ImageCorruptError,
    TooComplexError,
    TooManyPixelsError,
    UnsupportedFormatError,
)
from service.media.types import DecodedImage
from service.media.view import Colours, Ground, View

# What a decoder may accuse a file of; its other failures follow from how the process died.
REJECTIONS: dict[str, type[RejectedError]] = {
    kind.reason: kind
    for kind in (AspectRatioError, ImageCorruptError, TooComplexError, TooManyPixelsError, UnsupportedFormatError)
}

BYTES_A_PIXEL = 3

Count = Annotated[int, Field(ge=0)]
Side = Annotated[int, Field(gt=0)]
Feature = Annotated[str, Field(pattern="^[a-z0-9_.]{1,40}$")]


class NonsenseError(Exception):
    """The answer is not one that a correct decoder gives."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _View(_Strict):
    frame: Count
    shown_ms: Count | None
    ground: Ground | None
    colours: Colours | None
    part: tuple[Count, Count, Side, Side] | None


class _Decoded(_Strict):
    outcome: Literal["decoded"]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    width: Side
    height: Side
    media_type: Annotated[str, Field(pattern="^image/[a-z]{2,10}$")]
    frames_total: Annotated[int, Field(gt=0)]
    frame_sizes: Annotated[tuple[tuple[Side, Side], ...], Field(min_length=1)]
    views: Annotated[tuple[_View, ...], Field(min_length=1)]
    ambiguous: Annotated[tuple[Feature, ...], Field(max_length=32)]
    profile_ignored: bool

    @model_validator(mode="after")
    def _one_view_a_picture(self) -> Self:
        if len(self.views) != len(self.frame_sizes):
            raise ValueError("views and frame_sizes differ in length")
        return self


class _Rejected(_Strict):
    outcome: Literal["rejected"]
    reason: str
    facts: dict[str, int | str]


_ANSWERS = TypeAdapter[_Decoded | _Rejected](Annotated[_Decoded | _Rejected, Field(discriminator="outcome")])


def read_answer(text: bytes, pixels: bytearray, *, encoded_bytes: int) -> DecodedImage:
    """Return the image whose facts and pixels these are; raises the RejectedError it names, or NonsenseError."""
    try:
        answer = _ANSWERS.validate_json(text)
    except ValidationError as error:
        raise NonsenseError from error
    if isinstance(answer, _Rejected):
        raise _rejection(answer)
    return _image(answer, pixels, encoded_bytes)


def _rejection(answer: _Rejected) -> RejectedError:
    try:
        return REJECTIONS[answer.reason](**answer.facts)
    except (KeyError, TypeError, ValueError) as error:  # facts that are missing, called "self", or of another type
        raise NonsenseError from error


def _image(answer: _Decoded, pixels: bytearray, encoded_bytes: int) -> DecodedImage:
    return DecodedImage(
        sha256=answer.sha256,
        width=answer.width,
        height=answer.height,
        encoded_bytes=encoded_bytes,
        media_type=answer.media_type,
        frames_total=answer.frames_total,
        frames=_cut(pixels, answer.frame_sizes),
        views=tuple(View(**view.model_dump()) for view in answer.views),
        ambiguous=frozenset(answer.ambiguous),
        profile_ignored=answer.profile_ignored,
    )


def _cut(pixels: bytearray, sizes: tuple[tuple[int, int], ...]) -> tuple[RgbPixels, ...]:
    """Return the frames that lie one after the other, without copying them."""
    lengths = [width * height * BYTES_A_PIXEL for width, height in sizes]
    if sum(lengths) != len(pixels):
        raise NonsenseError
    starts = itertools.accumulate(lengths, initial=0)
    return tuple(
        np.frombuffer(pixels, np.uint8, length, start).reshape(height, width, BYTES_A_PIXEL)
        for length, start, (width, height) in zip(lengths, starts, sizes, strict=False)
    )
