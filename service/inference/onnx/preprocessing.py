"""Converts pixels to a classifier's input, as in its authors' preprocessing."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.core.pixels import RgbPixels
from service.inference.onnx.catalogue import Preprocessing

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

_PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def prepare(pixels: RgbPixels, how: Preprocessing) -> Floats:
    """Return a batch of one: shape (1, side, side, 3), or (1, 3, side, side) for layout nchw."""
    if how.centre is not None:
        pixels = _middle_square(pixels, how.centre)
    if how.resampling == "bilinear_aligned":
        square = _resize_aligned(pixels, how.side)
    else:
        resized = Image.fromarray(pixels).resize((how.side, how.side), _PILLOW[how.resampling])
        square = np.asarray(resized, np.float32).reshape(how.side, -1)
    batch = _normalised(square, how).reshape(1, how.side, how.side, 3)
    return np.ascontiguousarray(batch.transpose(0, 3, 1, 2)) if how.layout == "nchw" else batch


def _middle_square(pixels: RgbPixels, share: float) -> RgbPixels:
    height, width, _ = pixels.shape
    side = max(1, int(min(height, width) * share))
    top, left = (height - side + 1) // 2, (width - side + 1) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


# From here on an image is a table of rows, each with the three channels of its pixels one after the other: numpy is
# several times as fast on long rows as on triples.


def _resize_aligned(pixels: RgbPixels, side: int) -> Floats:
    """Resize bilinearly: corners meet corners, and each result is read off four pixels without smoothing."""
    height, width, _ = pixels.shape
    top, bottom, down = _between(height, side)
    left, right, across = _between(width, side)
    flat, weights = pixels.reshape(-1, 3), np.repeat(across, 3)

    def read(rows: Places, columns: Places) -> Floats:
        places = rows[:, np.newaxis] * width + columns
        values: Floats = flat.take(places, axis=0).reshape(side, -1).astype(np.float32)
        return values

    upper = _mix(read(top, left), read(top, right), weights)
    lower = _mix(read(bottom, left), read(bottom, right), weights)
    return _mix(upper, lower, down[:, np.newaxis])


def _between(length: int, count: int) -> tuple[Places, Places, Floats]:
    """Spread `count` points from the first pixel to the last: the pixels beside each, and its way between them."""
    points = np.linspace(0, length - 1, count)
    before = points.astype(np.intp)
    after = np.minimum(before + 1, length - 1)
    return before, after, (points - before).astype(np.float32)


def _mix(start: Floats, end: Floats, share: Floats) -> Floats:
    """Go the share of the way from start to end; `end` is used up."""
    end -= start
    end *= share
    end += start
    return end


def _normalised(rows: Floats, how: Preprocessing) -> Floats:
    """Map bytes to the range, then to (x - mean) / deviation, a channel: one product and one sum."""
    low, high = how.range
    mean, deviation = np.array(how.mean), np.array(how.deviation)
    gain = (high - low) / 255 / deviation
    offset = (low - mean) / deviation
    normalised = rows * np.tile(gain, how.side).astype(np.float32)
    normalised += np.tile(offset, how.side).astype(np.float32)
    return normalised
