"""Bytes of events and outcomes that wait for their commit, bounded for the process and for each partition."""

_SHARES = 4
"""A partition whose commits stand still takes a quarter, so that the others go on."""


class CommitBacklog:
    """What all partitions hold until it is committed."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.held_bytes = 0
        """Of all partitions."""

    def has_room(self, partition_bytes: int) -> bool:
        """Tell whether a partition that holds so many bytes may read on."""
        return self.held_bytes < self._max_bytes and _SHARES * partition_bytes < self._max_bytes
