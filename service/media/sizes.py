"""Pure arithmetic on sizes: what is refused before any pixel is decoded."""

from service.media.errors import AspectRatioError, ImageCorruptError, TooManyPixelsError

# The vision models refuse longer ones; below it, nothing recognisable is left on the short side.
MAX_ASPECT_RATIO = 200

Size = tuple[int, int]
"""Width and height in pixels."""


def check_size(
    size: Size, *, max_pixels: int, frames_looked_at: int = 1, frames_total: int = 1, max_composed: int = 0
) -> None:
    """Refuse empty, too large and too elongated pictures; raises the rejection that fits.

    `max_pixels` bounds the frames that are looked at, `max_composed` all of an animation.
    """
    width, height = size
    if width <= 0 or height <= 0:
        raise ImageCorruptError(detail=f"a size of {width} × {height} pixels")
    if max(size) > MAX_ASPECT_RATIO * min(size):
        raise AspectRatioError(width=width, height=height, limit=MAX_ASPECT_RATIO)
    area = width * height
    if area * frames_looked_at > max_pixels:
        raise TooManyPixelsError(width=width, height=height, frames=frames_looked_at, limit_pixels=max_pixels)
    if frames_total > 1 and area * frames_total > max_composed:
        raise TooManyPixelsError(width=width, height=height, frames=frames_total, limit_pixels=max_composed)
