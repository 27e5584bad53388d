"""How many bytes a partition's next transaction may hold: so few that it ends well before its time limit."""

_TARGET_SHARE = 0.25
"""Of the time limit: a commit that takes longer is followed by smaller ones before any is given up."""

_GROWTH = 16
"""From the least to 8 MiB in eighty commits; faster growth would come back to what takes too long within seconds."""

LEAST_BYTES = 64 * 1024
"""A transaction of this size that takes too long is not slow for its size, so no smaller one is tried."""


class BatchSize:
    """The bound of one partition, between `LEAST_BYTES` and the setting's bytes."""

    def __init__(self, max_bytes: int, *, timeout_s: float) -> None:
        self._max_bytes = max_bytes
        self._target_s = _TARGET_SHARE * timeout_s
        self._bytes = max_bytes

    @property
    def max_bytes(self) -> int:
        """How many bytes the next transaction may hold; one outcome alone may be larger."""
        return self._bytes

    def committed(self, size_bytes: int, *, took_s: float) -> None:
        """Take note of how long a commit took: the next one takes the target's time at most, at the same speed."""
        if took_s > self._target_s:
            self._set(int(size_bytes * self._target_s / took_s))
        elif 2 * size_bytes >= self._bytes:
            self._set(self._bytes + self._bytes // _GROWTH)

    def timed_out(self, size_bytes: int) -> bool:
        """Take note of a commit that was given up; True when smaller ones are to be tried."""
        if size_bytes <= LEAST_BYTES:
            return False
        self._set(size_bytes // 2)
        return True

    def _set(self, size_bytes: int) -> None:
        self._bytes = min(max(size_bytes, LEAST_BYTES), self._max_bytes)
