"""Pure: prepares decoded pixels for a vision-language model, and names them for its caches."""

from importlib.metadata import version

import numpy as np

from service.core.pixels import ImageSpec, RgbPixels
from service.inference.vision.patch import PATCH

_DECODER = f"pillow-{version('pillow')}"
# Of this project's part: how files are reduced and fitted.
_OWN_VERSION = 1

# Qwen's own limit: above it the model refuses an image.
_MAX_ASPECT_RATIO = 200


def image_spec(vision_tokens: int) -> ImageSpec:
    """Return the pixels that this number of vision tokens covers."""
    return ImageSpec(max_pixels=vision_tokens * PATCH**2, multiple_of=PATCH)


def preprocessing(vision_tokens: int) -> str:
    """Name the way from a file to the model: what decodes, how many tokens see what each, and our part's version."""
    return f"{_DECODER}/{vision_tokens}x{PATCH}x{PATCH}/{_OWN_VERSION}"


def fit(pixels: RgbPixels) -> RgbPixels:
    """Thin out the long side of what became too elongated for the model.

    Files are refused above the same ratio, but rounding a short side down to a patch may stretch one by a third.
    """
    height, width = pixels.shape[:2]
    longest = _MAX_ASPECT_RATIO * min(height, width) // PATCH * PATCH
    if max(height, width) <= longest:
        return pixels
    kept = np.arange(longest) * max(height, width) // longest
    return np.ascontiguousarray(pixels[kept] if height > width else pixels[:, kept])


def image_key(key: str, pixels: RgbPixels) -> str:
    """Name the pixels and how they were made: one file is seen in different sizes by different policies."""
    height, width = pixels.shape[:2]
    return f"{key}/{width}x{height}/{_DECODER}/{_OWN_VERSION}"
