"""Where the models for the benchmark of a first pass lie, and the pictures that they judge."""

from dataclasses import replace

import numpy as np
from PIL import Image

from service.core.pixels import RgbPixels
from testing.tiny_model.scenes import Scene, random_scene
from testing.tiny_model.tiny import CACHE

SIDE, FEW_SIDE = 512, 128
"""Of a picture in the full and in the first pass, in pixels: 256 vision tokens, the default of policies, and 16."""
TINIER = CACHE / "tinier"
"""The tinier model: 2 layers of language and of vision, where the tiny one has 4 and 3."""
TWO_SIZES = CACHE / "two-sizes"
"""The tiny model, taught both sizes."""

_LAID_OUT = 256
"""The side of the scenes that are enlarged and reduced, in pixels."""


def scene_for_passes(rng: np.random.Generator, *, harmful: int | None = None, is_plain: bool = False) -> Scene:
    """Return a scene of the full pass: so many harmful shapes, by chance if None; a plain one is a background alone."""
    scene = random_scene(rng, harmful=harmful, size=(_LAID_OUT, _LAID_OUT))
    return scaled(replace(scene, items=()) if is_plain else scene, SIDE)


def scaled(scene: Scene, side: int) -> Scene:
    """Return a square scene at another size."""
    share = side / scene.width
    items = [replace(each, x=each.x * share, y=each.y * share, radius=each.radius * share) for each in scene.items]
    return replace(scene, width=side, height=side, items=tuple(items))


def reduced(pixels: RgbPixels) -> RgbPixels:
    """Return a picture of the full pass at the size of the first one, reduced as the service does."""
    small = Image.fromarray(pixels).resize((FEW_SIDE, FEW_SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.ascontiguousarray(small)
