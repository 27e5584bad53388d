"""Images that engines are asked about."""

import numpy as np

from service.core.pixels import ImageSpec, RgbPixels


def noise(height: int, width: int, *, seed: int = 0) -> RgbPixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def small(spec: ImageSpec, *, seed: int = 0) -> RgbPixels:
    side = spec.multiple_of * max(1, 48 // spec.multiple_of)
    return noise(side, side, seed=seed)


def extremes(spec: ImageSpec) -> list[RgbPixels]:
    """The smallest, the thinnest and the largest images that a spec allows."""
    unit = spec.multiple_of
    longest = spec.max_pixels // unit // unit * unit
    widest = int(spec.max_pixels**0.5) // unit * unit
    shapes = [(unit, unit), (unit, 2 * unit), (unit, longest), (longest, unit), (widest, widest)]
    return [noise(height, width) for height, width in shapes]
