"""The parts of a long picture, for engines that bring every picture to a square of a fixed size."""

import math

from service.media.sizes import Size

Box = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""

# A picture up to this is given as a whole: photographs are 3:2 or 16:9, and screens 2:1.
LONGEST_WHOLE = 2.1
# Each part has this share of its length in common with the next, so that nothing is cut in two in both.
_SHARED = 0.25
_FEWEST = 2
# How many times longer than wide a part may be that is brought to a square, for what it shows to be recognised.
_LONGEST_SQUEEZED = 3.3


def parts_needed(size: Size, most: int) -> int:
    """Return how many parts show a picture: 0 for one that is no longer than usual, or where two are too many."""
    ratio = max(size) / min(size)
    if ratio <= LONGEST_WHOLE or most < _FEWEST:
        return 0
    return min(most, 1 + math.ceil((ratio - 1) / (1 - _SHARED)))


def is_squeezed(size: Size, count: int) -> bool:
    """Say whether a picture in so many parts, 0 for a whole one, is squeezed much where each becomes a square."""
    return (part_length(size, count) if count else max(size)) > _LONGEST_SQUEEZED * min(size)


def part_length(size: Size, count: int) -> int:
    """Return the length of each of a number of parts: that of the short side, or more where they are too few."""
    shared = max(min(size), math.ceil(max(size) / (1 + (count - 1) * (1 - _SHARED))))
    return min(shared, max(size))


def parts(size: Size, count: int) -> list[Box]:
    """Return overlapping parts that cover the picture along its long side, evenly spaced from end to end."""
    if not count:
        return []
    (width, height), length = size, part_length(size, count)
    starts = [round(place * (max(size) - length) / (count - 1)) for place in range(count)]
    if width >= height:
        return [(start, 0, length, height) for start in starts]
    return [(0, start, width, length) for start in starts]
