"""Decoding in the test's own process, at full size unless said otherwise."""

from dataclasses import replace

import numpy as np

from service.core.pixels import RgbPixels
from service.media.image import DecodeLimits, PlainImage, decode_image

FULL_SIZE = DecodeLimits(max_pixels=1_000_000, max_frames=4, target_pixels=1_000_000, multiple_of=1)


def decode(data: bytes, **changed: int) -> PlainImage:
    return decode_image(data, replace(FULL_SIZE, **changed))


def frames(data: bytes, **changed: int) -> list[RgbPixels]:
    image = decode(data, **changed)
    return [
        np.frombuffer(pixels, np.uint8).reshape(height, width, 3)
        for pixels, (width, height) in zip(image.pixels, image.frame_sizes, strict=True)
    ]


def picture(data: bytes, **changed: int) -> RgbPixels:
    (frame,) = frames(data, **changed)
    return frame


def middle(pixels: RgbPixels) -> list[int]:
    height, width, _ = pixels.shape
    return [int(sample) for sample in pixels[height // 2, width // 2]]
