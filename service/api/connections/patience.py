"""How long a client may take to send a request and to take its answer. Pure, apart from the clock that is passed in."""

from collections.abc import Callable


class _Pace:
    """Bytes against a minimum rate, measured over windows."""

    def __init__(self, min_bytes_per_s: int, window_s: float, now_s: float) -> None:
        self.bytes = 0
        self.began_s = now_s
        self._window_s = window_s
        self._min_bytes = min_bytes_per_s * window_s

    def is_kept(self, now_s: float) -> bool:
        """Return whether the window that just ended was fast enough; an open one is."""
        if now_s - self.began_s < self._window_s:
            return True
        is_kept = self.bytes >= self._min_bytes
        self.began_s, self.bytes = now_s, 0
        return is_kept


class Patience:
    """A deadline, and perhaps a pace, for what the client has to send; both stand still while it is held back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._deadline_s: float | None = None
        self._pace: _Pace | None = None
        self._paused_at_s: float | None = None

    @property
    def is_running(self) -> bool:
        """Whether something is expected."""
        return self._deadline_s is not None

    @property
    def is_paused(self) -> bool:
        """Whether the client is held back."""
        return self._paused_at_s is not None

    def expect(self, within_s: float, *, min_bytes_per_s: int = 0, window_s: float = 0.0) -> None:
        """Expect something within a time, and until then at a pace if there is one."""
        now_s = self._clock()
        self._deadline_s = now_s + within_s
        self._pace = _Pace(min_bytes_per_s, window_s, now_s) if min_bytes_per_s else None
        if self.is_paused:
            self._paused_at_s = now_s

    def forget(self) -> None:
        """Expect nothing any more."""
        self._deadline_s = self._pace = None

    def count(self, size_bytes: int) -> None:
        """Count bytes that arrived."""
        if self._pace is not None:
            self._pace.bytes += size_bytes

    def pause(self) -> None:
        """Hold the client back."""
        if self._paused_at_s is None:
            self._paused_at_s = self._clock()

    def resume(self) -> None:
        """Let the client go on."""
        if self._paused_at_s is None:
            return
        passed_s = self._clock() - self._paused_at_s
        self._paused_at_s = None
        if self._deadline_s is not None:
            self._deadline_s += passed_s
        if self._pace is not None:
            self._pace.began_s += passed_s

    def is_over(self) -> bool:
        """Return whether the client took too long."""
        if self._deadline_s is None or self.is_paused:
            return False
        now_s = self._clock()
        return now_s > self._deadline_s or not (self._pace is None or self._pace.is_kept(now_s))


class UnsentAnswer:
    """Whether the client takes an answer at a minimum pace, by how much of it still waits in this process."""

    def __init__(self, min_bytes_per_s: int, window_s: float, clock: Callable[[], float]) -> None:
        self._min_bytes_per_s = min_bytes_per_s
        self._window_s = window_s
        self._clock = clock
        self._pace: _Pace | None = None
        self._bytes = 0

    def is_stuck(self, unsent_bytes: int) -> bool:
        """Return whether too little left since earlier calls; more may not be written in between."""
        now_s = self._clock()
        if not unsent_bytes:
            self._pace = None
        elif self._pace is None:
            self._pace = _Pace(self._min_bytes_per_s, self._window_s, now_s)
        else:
            self._pace.bytes += self._bytes - unsent_bytes
        self._bytes = unsent_bytes
        return self._pace is not None and not self._pace.is_kept(now_s)
