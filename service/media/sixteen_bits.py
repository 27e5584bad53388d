"""Transparency by value in full depth, of which Pillow keeps the upper byte of each sample only."""

from collections.abc import Sequence
from functools import reduce

from PIL import Image, ImageChops
from PIL.ImageFile import ImageFile

from service.media.formats import open_header

# How Pillow unpacks the first and the second byte of each sample.
_LOWER = "RGB;16L"

Colour = tuple[int, int, int]


def with_transparent_colour(image: Image.Image, data: bytes, colour: Colour) -> Image.Image:
    """Return a PNG's decoded picture as RGBA: transparent where all three samples of 16 bits are the colour's."""
    alpha = ImageChops.lighter(
        _differing(_lower_bytes(data), [sample & 0xFF for sample in colour]),
        _differing(image, [sample >> 8 for sample in colour]),
    )
    rgba = image.convert("RGBA")
    rgba.putalpha(alpha)
    return rgba


def _differing(image: Image.Image, samples: Sequence[int]) -> Image.Image:
    """Return white where a pixel is not these samples; one plane after the other, for pictures may be large."""
    planes = (
        image.getchannel(number).point([255 * (value != sample) for value in range(256)])
        for number, sample in enumerate(samples)
    )
    return reduce(ImageChops.lighter, planes)


def _lower_bytes(data: bytes) -> ImageFile:
    again = open_header(data, "image/png")
    again.tile = [tile._replace(args=_LOWER) for tile in again.tile]
    again.load()
    return again
