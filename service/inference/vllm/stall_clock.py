"""Pure: how long a model has been asked without an answer."""


class StallClock:
    """Adds up the time with requests in flight since the last answer.

    Time without requests does not count, and neither do requests that were given up: a model that answers none of
    them before their deadlines must not look alive because new ones keep coming.
    """

    def __init__(self, *, limit_s: float, longest_step_s: float) -> None:
        """`longest_step_s` bounds what one `advance` counts: a process that was suspended was not waiting."""
        self._limit_s = limit_s
        self._longest_step_s = longest_step_s
        self._in_flight = 0
        self._silent_s = 0.0
        self._now_s: float | None = None

    @property
    def is_stalled(self) -> bool:
        """Whether requests wait and nothing came for too long."""
        return self._in_flight > 0 and self._silent_s >= self._limit_s

    @property
    def silent_s(self) -> float:
        """Time with requests in flight since the last answer."""
        return self._silent_s

    def begin(self) -> None:
        """Count a request in."""
        self._in_flight += 1

    def end(self) -> None:
        """Count a request out, whatever came of it."""
        self._in_flight -= 1

    def answered(self) -> None:
        """Take note of a sign of life."""
        self._silent_s = 0.0

    def advance(self, now_s: float) -> None:
        """Let the time pass."""
        if self._now_s is not None and self._in_flight:
            self._silent_s += min(now_s - self._now_s, self._longest_step_s)
        self._now_s = now_s
