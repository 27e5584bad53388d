"""Which frames of an animation are looked at: the first, those that are shown longest, and evenly spaced ones."""

import itertools
from collections.abc import Iterator, Sequence

from service.media.sizes import spread

# Browsers show a frame with a shorter time for a tenth of a second.
_SHORTEST_MS, _SHORT_IS_MS = 10, 100

# Times that differ less than this from their mean are taken for equal.
_EQUAL = 1.5


def shown_ms(duration_ms: int) -> int:
    """Return how long browsers show a frame with a time of the file."""
    return _SHORT_IS_MS if duration_ms <= _SHORTEST_MS else duration_ms


def frames_to_judge(total: int, wanted: int, times_ms: Sequence[int]) -> list[int]:
    """Return the numbers of up to `wanted` frames, in their order.

    Where all frames are shown about as long, or their times are not known, they are evenly spaced from the first to the
    last. Otherwise the first is among them, which viewers without animation show; then each that has its share of the
    time, the longest first; the last, at which an animation may stop; and frames evenly spaced by the time shown.
    """
    if wanted >= total:
        return list(range(total))
    whole_ms = sum(times_ms)
    if len(times_ms) != total or max(times_ms) * total <= _EQUAL * whole_ms:
        return spread(total, wanted)
    longest = sorted(range(total), key=lambda number: -times_ms[number])
    own = [number for number in longest if times_ms[number] * wanted >= whole_ms]
    if wanted == 1:
        return [longest[0] if 2 * times_ms[longest[0]] >= whole_ms else 0]
    certain = [*dict.fromkeys((0, *own, total - 1))]
    order = itertools.chain(certain, _by_time(times_ms, wanted - len(certain)), longest)
    return sorted(itertools.islice(dict.fromkeys(order), wanted))


def _by_time(times_ms: Sequence[int], count: int) -> Iterator[int]:
    """Yield the frame that is shown in the middle of each of so many equal parts of the time."""
    ends = list(itertools.accumulate(times_ms))
    at = 0
    for place in range(count):
        middle = (place + 0.5) * ends[-1] / count
        while ends[at] < middle:
            at += 1
        yield at
