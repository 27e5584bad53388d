"""The pixels that media hands to an engine, and what an engine asks for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RgbPixels = NDArray[np.uint8]
"""Shape (height, width, 3), sRGB, upright, C-contiguous."""


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """The pixels that an engine wants: the decode pool delivers nothing larger."""

    max_pixels: int
    """Width × height after resizing; smaller images are not enlarged."""
    multiple_of: int = 1
    """Both sides are multiples of this many pixels."""
