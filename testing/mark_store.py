"""A store of what is remembered about partitions, in memory."""

import asyncio
from collections.abc import Collection, Mapping

from service.core.records import Partition


class MemoryStore:
    """Texts that outlive processes."""

    def __init__(self) -> None:
        self.texts: dict[Partition, str] = {}
        self.writes = 0
        self.is_broken = False

    async def read(self, partitions: Collection[Partition]) -> Mapping[Partition, str]:
        """Return what was written last."""
        if self.is_broken:
            raise OSError("broken")
        return {partition: self.texts.get(partition, "") for partition in partitions}

    async def write(self, marks: Mapping[Partition, str]) -> None:
        """Store."""
        await asyncio.sleep(0)
        if self.is_broken:
            raise OSError("broken")
        self.writes += 1
        self.texts |= marks
