"""Bounces of the broker that leave the event loop free, and the broker's own count of rebalances."""

import asyncio
import re

from tests.support.kafka import KafkaBroker

# Sessions shorter than the usual 6 s make room for more zombies in a short run.
ENVIRONMENT = {"KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000"}
_STABILIZED = re.compile(r"Stabilized group (\S+) generation \d+")


class Bouncer:
    """Takes a broker down and up again, one bounce at a time; its address and its data stay."""

    def __init__(self, broker: KafkaBroker) -> None:
        self._broker = broker
        self._bouncing = asyncio.Lock()

    async def kill_and_start(self, *, down_s: float) -> None:
        """Kill -9 the broker, leave it down for a while, and start it again."""
        async with self._bouncing:
            await asyncio.to_thread(self._broker.kill)
            try:
                await asyncio.sleep(down_s)
            finally:
                await asyncio.to_thread(self._broker.start)

    async def restart(self) -> None:
        """Stop the broker in good order and start it again."""
        async with self._bouncing:
            await asyncio.to_thread(self._broker.stop)
            await asyncio.to_thread(self._broker.start)


def rebalances(broker: KafkaBroker, group_id: str) -> int:
    """Count how often the group came to a new assignment."""
    return _STABILIZED.findall(broker.logs()).count(group_id)
