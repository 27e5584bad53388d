"""The pictures that an engine is given of a file: each frame on each ground that matters, whole and in parts."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from PIL import Image

from service.core.ambiguity import Feature
from service.core.target_size import target_size
from service.media.grounds import laid
from service.media.parts import Box, is_squeezed, part_length, parts, parts_needed
from service.media.picture import Picture
from service.media.sizes import Size


@dataclass(frozen=True, slots=True)
class LookLimits:
    """What an engine is given at most."""

    target_pixels: int
    """Width × height of each picture."""
    multiple_of: int
    max_views: int
    """Pictures of all frames together."""
    is_square: bool
    """The engine brings every picture to a square, so that it sees long ones in parts."""

    def for_each(self, frames: int) -> int:
        """Return how many pictures may be made of each frame."""
        return max(1, self.max_views // frames)


@dataclass(frozen=True, slots=True)
class Looks:
    """What is judged of a file."""

    pictures: tuple[Picture, ...]
    is_complete: bool
    """False if grounds or colours were left out, because there were too many of them."""
    is_squeezed: bool
    """There were too few parts for a long picture."""

    @property
    def features(self) -> set[Feature]:
        """What is not judged as viewers show it."""
        opacity: set[Feature] = set() if self.is_complete else {"opacity"}
        return opacity | ({"shape"} if self.is_squeezed else set())


def pixels_to_read(size: Size, limits: LookLimits, *, frames: int) -> int:
    """Return to how many pixels a frame is reduced first: more than the engine takes, if it is cut into parts."""
    count = _parts(size, limits, limits.for_each(frames) - 1)
    if not count:
        return limits.target_pixels
    scale = math.isqrt(limits.target_pixels) / part_length(size, count)
    return max(limits.target_pixels, round(size[0] * size[1] * scale**2))


def looks(found: Sequence[Picture], size: Size, limits: LookLimits, *, frames: int) -> Looks:
    """Return what is judged of the frames of an upright picture of some size, within the limits."""
    most, is_complete, squeezed = limits.for_each(frames), True, False
    pictures: list[Picture] = []
    for _, frame in groupby(found, lambda picture: picture.view.frame):
        whole = [each for picture in frame for each in _on_grounds(picture)]
        is_complete = is_complete and len(whole) <= most
        kept = whole[:most]
        count = _parts(size, limits, most // len(kept) - 1)
        squeezed = squeezed or (limits.is_square and is_squeezed(size, count))
        for picture in kept:
            pictures += _reduced(picture, limits) if limits.is_square else (picture,)
            pictures += _in_parts(picture, parts(size, count), size, limits)
    return Looks(tuple(pictures), is_complete, squeezed)


def _parts(size: Size, limits: LookLimits, most: int) -> int:
    return parts_needed(size, most) if limits.is_square else 0


def _on_grounds(picture: Picture) -> Iterator[Picture]:
    for rgb, ground in laid(picture.image, picture.alpha, picture.beneath):
        yield replace(picture, image=rgb, view=replace(picture.view, ground=ground), alpha=None, beneath=None)


def _reduced(picture: Picture, limits: LookLimits) -> Iterator[Picture]:
    """Yield the whole picture at the engine's size, if it was read at a larger one."""
    target = target_size(picture.image.size, max_pixels=limits.target_pixels, multiple_of=limits.multiple_of)
    is_larger = picture.image.width * picture.image.height > limits.target_pixels
    yield replace(picture, image=picture.image.resize(target, Image.Resampling.BICUBIC)) if is_larger else picture


def _in_parts(picture: Picture, boxes: Sequence[Box], size: Size, limits: LookLimits) -> Iterator[Picture]:
    """Yield parts of a picture, each as a square; `boxes` are in pixels of the file."""
    scale_x, scale_y = (read / full for read, full in zip(picture.image.size, size, strict=True))
    for left, top, width, height in boxes:
        right, bottom = round((left + width) * scale_x), round((top + height) * scale_y)
        part = picture.image.crop((round(left * scale_x), round(top * scale_y), right, bottom))
        square = _squared(part, math.isqrt(limits.target_pixels))
        yield replace(picture, image=square, view=replace(picture.view, part=(left, top, width, height)))


def _squared(part: Image.Image, most: int) -> Image.Image:
    """Return a picture in the middle of a black square, reduced to a side of at most `most`."""
    side = max(part.size)
    square = Image.new("RGB", (side, side))
    square.paste(part, ((side - part.width) // 2, (side - part.height) // 2))
    return square.resize((most, most), Image.Resampling.BICUBIC) if side > most else square
