"""Follows the logs of the open partitions while records are read: how far they go, and how far they were read."""

import asyncio

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.stream.assignment import Assignment
from service.stream.lane import Lane
from service.stream.log_bounds import LogEnds

log = structlog.get_logger(__name__)

_EVERY_S = 3.0
"""Three small requests a broker; the figures are as old as this at most. Also how often an idle partition may commit
that it was read past markers: one transaction, where an uploader's transactions follow each other without a record."""

_LOOK_EVERY_S = 0.25
"""How soon a partition that was opened meanwhile is asked for: until then it has no lag to show.

Looked for and not waited for: the event that tells of it, `Assignment.changed`, is cleared by the one who receives.
"""

_POSITION_TIMEOUT_S = 1.0
"""An open partition has a position at once; one that a rebalance takes away at this moment may never have one."""


class LogWatch:
    """Asks until cancelled."""

    def __init__(self, consumer: AIOKafkaConsumer, assignment: Assignment, ends: LogEnds) -> None:
        self._consumer = consumer
        self._assignment = assignment
        self._ends = ends

    async def run(self) -> None:
        """Ask again and again, before its time for a partition that is new."""
        while True:
            await self.look()
            for _ in range(round(_EVERY_S / _LOOK_EVERY_S)):
                await asyncio.sleep(_LOOK_EVERY_S)
                if not self._ends.by_partition.keys() >= self._assignment.lanes.keys():
                    break

    async def look(self) -> None:
        """Ask once, and take note of how far every partition was read."""
        lanes = dict(self._assignment.lanes)
        await self._ends.ask(lanes)
        for partition, lane in lanes.items():
            position = await self._position(TopicPartition(*partition))
            if position is not None and self._is_open(lane):
                lane.pass_to(position)

    def _is_open(self, lane: Lane) -> bool:
        return self._assignment.lanes.get(lane.partition) is lane

    async def _position(self, partition: TopicPartition) -> int | None:
        """Return the offset below which every record was delivered; None when it is not known at the moment.

        aiokafka moves a position when it hands records over, and nothing waits between that and their delivery.
        """
        try:
            async with asyncio.timeout(_POSITION_TIMEOUT_S):
                position: int = await self._consumer.position(partition)
        except (KafkaError, TimeoutError):
            return None
        return position
