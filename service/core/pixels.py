"""The pixels that media passes to an engine, and the size that an engine wants."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RgbPixels = NDArray[np.uint8]
"""Shape (height, width, 3), sRGB, upright, C-contiguous."""


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """The largest pixels that an engine uses; the decode pool delivers nothing larger."""

    max_pixels: int
    """Width × height after resizing; smaller images are not enlarged."""
    multiple_of: int = 1
    """Both sides are multiples of this many pixels."""
    is_square: bool = False
    """Every image is brought to a square of a fixed size, so that long ones are passed on in parts as well."""
