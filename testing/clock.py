"""A clock for tests."""


class StillClock:
    """Stands still until it is set; called as `time.monotonic` is."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s
