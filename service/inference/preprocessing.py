"""From pixels to a classifier's input, as its authors did it."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.inference.catalogue import Preprocessing
from service.pixels import RgbPixels

Floats = NDArray[np.float32]

_PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def prepare(pixels: RgbPixels, how: Preprocessing) -> Floats:
    """Return a batch of one: shape (1, side, side, 3), or (1, 3, side, side) for layout nchw."""
    if how.centre is not None:
        pixels = _middle_square(pixels, how.centre)
    if how.resampling == "bilinear_aligned":
        square = _resize_aligned(pixels, how.side)
    else:
        resized = Image.fromarray(pixels).resize((how.side, how.side), _PILLOW[how.resampling])
        square = np.asarray(resized, np.float32)
    low, high = how.range
    values = square * np.float32((high - low) / 255) + np.float32(low)
    mean, deviation = np.array(how.mean, np.float32), np.array(how.deviation, np.float32)
    batch: Floats = ((values - mean) / deviation)[np.newaxis]
    return np.ascontiguousarray(batch.transpose(0, 3, 1, 2)) if how.layout == "nchw" else batch


def _middle_square(pixels: RgbPixels, share: float) -> RgbPixels:
    height, width, _ = pixels.shape
    side = max(1, int(min(height, width) * share))
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


def _resize_aligned(pixels: RgbPixels, side: int) -> Floats:
    """Resize bilinearly: corners meet corners, and each result is read off four pixels without smoothing."""
    height, width, _ = pixels.shape
    top, bottom, down = _between(height, side)
    left, right, across = _between(width, side)
    across = across[np.newaxis, :, np.newaxis]
    upper = _mix(pixels[np.ix_(top, left)], pixels[np.ix_(top, right)], across)
    lower = _mix(pixels[np.ix_(bottom, left)], pixels[np.ix_(bottom, right)], across)
    return _mix(upper, lower, down[:, np.newaxis, np.newaxis])


def _between(length: int, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Spread `count` points from the first pixel to the last: the pixels beside each, and its way between them."""
    points = np.linspace(0, length - 1, count)
    before = points.astype(np.intp)
    after = np.minimum(before + 1, length - 1)
    return before, after, (points - before).astype(np.float32)


def _mix(first: NDArray[np.generic], second: NDArray[np.generic], share: Floats) -> Floats:
    start, end = first.astype(np.float32), second.astype(np.float32)
    return start + (end - start) * share
