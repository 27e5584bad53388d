"""Where the models for the benchmark of a first pass lie, and the sizes of their pictures."""

import numpy as np
from PIL import Image

from service.core.pixels import RgbPixels
from testing.tiny_model.tiny import CACHE

SIDE, FEW_SIDE = 256, 128
"""Of a picture in the full and in the first pass, in pixels: 64 and 16 vision tokens."""
TINIER = CACHE / "tinier"
"""The tinier model: 2 layers of language and of vision, where the tiny one has 4 and 3."""
TWO_SIZES = CACHE / "two-sizes"
"""The tiny model, taught both sizes."""


def reduced(pixels: RgbPixels) -> RgbPixels:
    """Return a picture of the full pass at the size of the first one, reduced as the service does."""
    small = Image.fromarray(pixels).resize((FEW_SIDE, FEW_SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.ascontiguousarray(small)
