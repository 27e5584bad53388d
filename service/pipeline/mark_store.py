"""Where it is kept what the next owner of a partition has to know of the engine."""

from collections.abc import Collection, Mapping
from typing import Protocol

from service.stream.records import Partition


class MarkStore(Protocol):
    """Keeps a text for each partition, for whoever owns it next; both raise `OSError`."""

    async def read(self, partitions: Collection[Partition]) -> Mapping[Partition, str]:
        """Return the texts; empty ones where there are none."""
        ...

    async def write(self, marks: Mapping[Partition, str]) -> None:
        """Store texts."""
        ...


class NoMemory:
    """Keeps nothing: for engines that live on when a record kills what answers it."""

    async def read(self, partitions: Collection[Partition]) -> Mapping[Partition, str]:
        """Return nothing."""
        return dict.fromkeys(partitions, "")

    async def write(self, marks: Mapping[Partition, str]) -> None:
        """Do nothing."""


NO_MEMORY = NoMemory()
