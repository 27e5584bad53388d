"""What waits on the brokers, partition by partition, as cohorts: the images of one tick stand and wait together."""

from collections import deque
from collections.abc import Iterable, Sequence

Cohort = tuple[float, float]
"""When its images were uploaded, and how many they are."""


class Backlog:
    """One partition's cohorts, oldest first."""

    __slots__ = ("_cohorts", "images")

    def __init__(self) -> None:
        self._cohorts: deque[Cohort] = deque()
        self.images = 0.0

    def add(self, at_s: float, images: float) -> None:
        """Append a cohort."""
        if images > 0:
            self._cohorts.append((at_s, images))
            self.images += images

    def take(self, images: float) -> list[Cohort]:
        """Remove so many of the oldest, or all; a cohort may be split."""
        taken = []
        while images > 0 and self._cohorts:
            at_s, count = self._cohorts.popleft()
            if count > images:
                self._cohorts.appendleft((at_s, count - images))
                count = images
            images -= count
            self.images -= count
            taken.append((at_s, count))
        if not self._cohorts:
            self.images = 0.0  # what rounding left over
        return taken


def take_in_turn(backlogs: Sequence[Backlog], images: float) -> Iterable[Cohort]:
    """Take so many from all of them, equally many from each as far as there are: a process asks one after the other."""
    waiting = sorted(backlogs, key=lambda backlog: backlog.images)
    for place, backlog in enumerate(waiting):
        if images <= 0:
            return
        part = min(backlog.images, images / (len(waiting) - place))
        images -= part
        yield from backlog.take(part)
