"""Leaves out a smaller engine that fails again and again, so that images do not wait for it one by one."""

import time
from collections.abc import Callable

FAILURES = 3
"""In a row, after which it pauses: one or two are the image's or the network's."""
PAUSE_S, MAX_PAUSE_S = 10.0, 60.0
"""The first pause, and the longest: each failure after a pause doubles the next one."""


class Pause:
    """Counts failures in a row, and says whether there is a pause."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._next_s = PAUSE_S
        self._until_s = 0.0

    @property
    def is_on(self) -> bool:
        """Whether the engine is left out now."""
        return self._clock() < self._until_s

    def failed(self) -> None:
        """Count a failure. Those of requests that began before a pause add nothing to it."""
        self._failures += 1
        if self._failures >= FAILURES and not self.is_on:
            self._until_s = self._clock() + self._next_s
            self._next_s = min(2 * self._next_s, MAX_PAUSE_S)

    def worked(self) -> None:
        """Forget all failures."""
        self._failures, self._next_s, self._until_s = 0, PAUSE_S, 0.0
