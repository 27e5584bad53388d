"""How far the partitions go on the brokers, asked again and again; an answer also shows that the brokers are there.

What a fetch tells of it is no use here: a partition that rests, or whose records wait in aiokafka, is not fetched from,
and its lag would seem to stand still.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.stream.records import Partition

log = structlog.get_logger(__name__)

_EVERY_S = 3.0
"""One small request a broker; the figures are as old as this at most."""

_LOOK_EVERY_S = 0.25
"""How soon a partition that was opened meanwhile is asked for: until then it has no lag to show.

Looked for and not waited for: the event that tells of it, `Assignment.changed`, is cleared by the one who receives.
"""

_TIMEOUT_S = 3.0
"""For an answer that takes milliseconds."""


class LogEnds:
    """Knows the ends of some partitions, and when the brokers last told them."""

    def __init__(
        self, consumer: AIOKafkaConsumer, *, without_any: Partition, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`without_any` is asked for when nothing is assigned, to learn whether the brokers are there."""
        self._consumer = consumer
        self._without_any = without_any
        self._clock = clock
        self.by_partition: Mapping[Partition, int] = {}
        """Offsets that the next records get; in transactional topics, of what is committed."""
        self.told_at_s: float | None = None
        """By `time.monotonic`; None before the first answer."""

    async def watch(self, partitions: Callable[[], Collection[Partition]]) -> None:
        """Ask until cancelled, before its time for a partition that is new."""
        while True:
            await self.ask(partitions())
            for _ in range(round(_EVERY_S / _LOOK_EVERY_S)):
                await asyncio.sleep(_LOOK_EVERY_S)
                if not self.by_partition.keys() >= set(partitions()):
                    break

    async def ask(self, partitions: Collection[Partition]) -> None:
        """Ask once; without an answer everything stays as it was."""
        asked = [TopicPartition(*partition) for partition in partitions or [self._without_any]]
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                ends = await self._consumer.end_offsets(asked)
        except (KafkaError, OSError, TimeoutError) as error:
            log.debug("partitions.ends_unknown", error=error)
            return
        self.by_partition = {Partition(*partition): end for partition, end in ends.items()}
        self.told_at_s = self._clock()
