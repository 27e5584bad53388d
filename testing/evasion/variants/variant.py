"""A file made so that it may show a harmful picture and hide it from the engine."""

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from PIL import Image

from service.cli.try_files import PHOTOGRAPHS
from service.core.pixels import RgbPixels

SIZE = WIDTH, HEIGHT = 128, 96
"""Small, and the embedded engine still sends the harmful ones to review with 0.98 and 0.72."""

LARGE_SIZE = (320, 240)
"""For pictures of which the engine is given parts."""

HARMFUL = ("rifle-drawing", "beer")
DRAWING = "rifle-drawing"
"""Harmful even in two values, or inverted."""
HARMLESS = ("cat", "alps")


@dataclass(frozen=True, slots=True)
class Variant:
    """One file."""

    kind: str
    """The row of the table of docs/evasion.md."""
    how: str
    """What was chosen."""
    data: bytes = field(repr=False)
    meant: RgbPixels = field(repr=False)
    """The harmful picture as it is meant to be seen."""
    by_likeness: bool = False
    """It is harmful if that is what is shown, although the engine may miss it there; otherwise the engine says what is
    harmful of what is shown."""


@cache
def photograph(name: str, size: tuple[int, int] = SIZE) -> RgbPixels:
    """Return a bundled photograph, at the size of most variants."""
    with Image.open(PHOTOGRAPHS / f"{name}.jpg") as image:
        pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.LANCZOS))
    pixels.setflags(write=False)
    return pixels
