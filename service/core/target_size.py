"""Pure arithmetic: the size that a picture is reduced to before an engine gets it."""

import math


def target_size(size: tuple[int, int], *, max_pixels: int, multiple_of: int) -> tuple[int, int]:
    """Return the width and height to reduce an image of this width and height to: the aspect kept, in exact multiples.

    The area is at most `max_pixels`, which must be at least `multiple_of` squared. Nothing is enlarged but to the next
    multiple.
    """
    width, height = size
    scale = min(1.0, math.sqrt(max_pixels / (width * height)))
    across, down = (_nearest(side * scale, multiple_of) for side in size)
    if across * down > max_pixels:
        across, down = (_below(side * scale, multiple_of) for side in size)
    # A side that was raised to one multiple leaves less for the other.
    return (
        min(across, _below(max_pixels / down, multiple_of)),
        min(down, _below(max_pixels / across, multiple_of)),
    )


def _nearest(side: float, multiple_of: int) -> int:
    return max(multiple_of, round(side / multiple_of) * multiple_of)


def _below(side: float, multiple_of: int) -> int:
    return max(multiple_of, math.floor(side / multiple_of) * multiple_of)
