"""Decoding in the test's own process, at full size unless said otherwise."""

from dataclasses import replace
from typing import Any

import numpy as np

from service.core.pixels import RgbPixels
from service.media.image import DecodeLimits, PlainImage, decode_image

FULL_SIZE = DecodeLimits(max_pixels=1_000_000, max_frames=4, target_pixels=1_000_000, multiple_of=1)


def decode(data: bytes, **changed: Any) -> PlainImage:
    return decode_image(data, replace(FULL_SIZE, **changed))


def frames(data: bytes, **changed: Any) -> list[RgbPixels]:
    image = decode(data, **changed)
    return [
        np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
        for pixels, (width, height) in zip(image.pixels, image.frame_sizes, strict=True)
    ]


def picture(data: bytes, **changed: Any) -> RgbPixels:
    """Return the one picture of a file, with its colours as declared."""
    assert {view.frame for view in decode(data, **changed).views} == {0}
    return frames(data, **changed)[0]


def middle(pixels: RgbPixels) -> list[int]:
    height, width, _ = pixels.shape
    return [int(sample) for sample in pixels[height // 2, width // 2]]
