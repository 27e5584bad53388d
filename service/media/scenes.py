"""Which frames of an animation look alike: a picture that is split into many frames counts for all of their time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import cast

from PIL import Image, ImageChops
from PIL.ImageFile import ImageFile

# Frames are compared as so many averages across and down.
_SIDE = 16
# Of 255, in any of the averages. Frames that differ by less differ by their compression.
_ALIKE = 8
# What differs by more is simply something else, however much more it is: black is no more important than a cat.
_ELSE = 48
# Scenes that are kept apart while frames are read. Beyond it, the two are joined that lose least by it.
_MOST = 12


@dataclass(slots=True)
class Scene:
    """Frames that look alike, and others that were joined to them."""

    first: int
    """Number of the frame that the others are compared with."""
    cells: Image.Image
    """Averages of that frame."""
    times_ms: dict[int, int]
    """How long each of the frames that look alike is shown, by its number."""
    shown_ms: int
    """How long all frames are shown, with those that were joined."""
    distances: dict[int, int] = field(default_factory=dict)
    """By how much of 255 other scenes differ at most, by their first frames."""


def scenes(image: ImageFile, times_ms: Sequence[int], most: int) -> list[Scene]:
    """Return at most so many scenes of an opened animation, by their first frames; reads every frame."""
    return joined(((_cells(image, number), time_ms) for number, time_ms in enumerate(times_ms)), most)


def joined(frames: Iterable[tuple[Image.Image, int]], most: int) -> list[Scene]:
    """Return the scenes of frames, which are given by their averages and times in ms."""
    found: list[Scene] = []
    for number, (cells, time_ms) in enumerate(frames):
        distances = {scene.first: _difference(cells, scene.cells) for scene in found}
        nearest = min(found, key=lambda scene: distances[scene.first], default=None)
        if nearest is not None and distances[nearest.first] <= _ALIKE:
            nearest.times_ms[number] = time_ms
            nearest.shown_ms += time_ms
            continue
        for scene in found:
            scene.distances[number] = distances[scene.first]
        found.append(Scene(number, cells, {number: time_ms}, time_ms, distances))
        _reduce(found, max(_MOST, most))
    _reduce(found, most)
    return found


def _cells(image: ImageFile, number: int) -> Image.Image:
    image.seek(number)
    image.load()
    # Palettes and bits cannot be averaged.
    plain = image if image.mode in {"L", "LA", "RGB", "RGBA"} else image.convert("RGBA")
    return plain.resize((_SIDE, _SIDE), Image.Resampling.BOX).convert("RGBA")


def _difference(one: Image.Image, other: Image.Image) -> int:
    bands = cast("tuple[tuple[int, int], ...]", ImageChops.difference(one, other).getextrema())
    return max(highest for _, highest in bands)


def _reduce(found: list[Scene], most: int) -> None:
    """Join scenes until there are no more than so many: short ones first, and those that look much alike.

    The first frame of a file is judged in any case, so the time of what looks like it lengthens no other scene.
    """
    while len(found) > most:
        one, other = min(combinations(found, 2), key=lambda pair: _loss(*pair))
        kept, gone = (one, other) if one.shown_ms >= other.shown_ms else (other, one)
        found.remove(gone)
        kept.shown_ms += gone.shown_ms - (sum(gone.times_ms.values()) if gone.first == 0 else 0)


def _loss(one: Scene, other: Scene) -> float:
    """Return how much is misrepresented if one frame stands for both scenes, by Ward's criterion."""
    together = one.shown_ms * other.shown_ms / max(1, one.shown_ms + other.shown_ms)
    return float(together * min(one.distances[other.first], _ELSE) ** 2)
