"""Which frames of an animation are looked at: the first, those of what is shown longest, the last, and others."""

import itertools
from collections.abc import Iterator, Sequence

from service.media.scenes import Scene

# Browsers show a frame with a shorter time for a tenth of a second.
_SHORTEST_MS, _SHORT_IS_MS = 10, 100


def shown_ms(duration_ms: int) -> int:
    """Return how long browsers show a frame with a time of the file."""
    return _SHORT_IS_MS if duration_ms <= _SHORTEST_MS else duration_ms


def frames_to_judge(wanted: int, times_ms: Sequence[int], scenes: Sequence[Scene]) -> list[int]:
    """Return the numbers of `wanted` frames of an animation that has more of them, in their order.

    The first is among them, which viewers without animation show; then one of each scene that has its share of the
    time, the longest first; the last, at which an animation may stop; one of each other scene; and frames evenly spaced
    by the time shown.
    """
    whole_ms = sum(times_ms)
    by_length = sorted(scenes, key=lambda scene: -scene.shown_ms)
    own = [_longest(scene) for scene in by_length if scene.shown_ms * wanted >= whole_ms]
    if wanted == 1:
        alike = max(scenes, key=lambda scene: sum(scene.times_ms.values()))
        return [_longest(alike) if 2 * sum(alike.times_ms.values()) >= whole_ms else 0]
    order = itertools.chain(
        (0, *own, len(times_ms) - 1),
        map(_longest, by_length),
        _by_time(times_ms, wanted),
        range(len(times_ms)),
    )
    return sorted(itertools.islice(dict.fromkeys(order), wanted))


def _longest(scene: Scene) -> int:
    """Return the frame that stands for a scene: the first frame of the file if it is one, or the one shown longest."""
    return 0 if 0 in scene.times_ms else max(scene.times_ms, key=lambda number: (scene.times_ms[number], -number))


def _by_time(times_ms: Sequence[int], count: int) -> Iterator[int]:
    """Yield the frame that is shown in the middle of each of so many equal parts of the time."""
    ends = list(itertools.accumulate(times_ms))
    at = 0
    for place in range(count):
        middle = (place + 0.5) * ends[-1] / count
        while ends[at] < middle:
            at += 1
        yield at
