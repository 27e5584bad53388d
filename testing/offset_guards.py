"""Guards over logs of a test's choice."""

from collections.abc import Collection

from service.core.records import Partition
from service.delivery.lost_offsets import Choice
from service.delivery.offset_guard import OffsetGuard
from service.kafka.log_bounds import LogBounds


class Logs:
    """Bounds that every partition has, and whether the group forgot that it worked."""

    def __init__(self, bounds: LogBounds, *, forgotten: bool = False) -> None:
        self.bounds = bounds
        self.forgotten = forgotten
        self.afterwards: LogBounds | None = None
        """What they report from the second pass on, if that differs."""
        self.looks = 0

    async def read(self, partitions: Collection[Partition]) -> dict[Partition, LogBounds]:
        """Report the same of every partition."""
        reported = self.afterwards if self.looks and self.afterwards else self.bounds
        self.looks += 1
        return dict.fromkeys(partitions, reported)

    async def is_forgotten(self, _topic: str) -> bool:
        """As the test wants."""
        return self.forgotten

    def guard(self, choice: Choice = "stop", *, trusts_ends: bool = True) -> OffsetGuard:
        """Return a guard that looks here, twice in a row at once."""
        return OffsetGuard(
            self.read, self, choice=choice, group_id="modstream", trusts_ends=trusts_ends, confirm_after_s=0.0
        )


def any_offset_fits() -> OffsetGuard:
    """Return a guard that never has a reason."""
    return Logs(LogBounds(0, 1 << 60, 1 << 60)).guard()
