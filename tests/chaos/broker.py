"""Bounces of the broker that leave the event loop free, and the broker's own count of rebalances."""

import asyncio
import re

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.chaos.tally import Tally
from tests.support.kafka import KafkaBroker
from tests.support.waiting import wait_until

ENVIRONMENT = {
    # Sessions shorter than the usual 6 s make room for more zombies in a short run.
    "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
    # A broker that shuts down hands its partitions over first. Without replicas they are then led by nobody, and
    # Kafka 4.3.1 takes such partitions for deleted: it confirms a commit and never writes its markers, which makes
    # the transaction's records appear later, with those of the next one. docs/guarantees.md asks for replicas.
    "KAFKA_CONTROLLED_SHUTDOWN_ENABLE": "false",
}
SPARED_S = 3.0
# It takes 5 to 10 s; machines that run much else need longer.
UP_TIMEOUT_S = 120.0
_STABILIZED = re.compile(r"Stabilized group (\S+) generation \d+")


class Bouncer:
    """Takes a broker down and up again, one bounce at a time; its address and its data stay."""

    def __init__(self, broker: KafkaBroker, tally: Tally) -> None:
        self._broker = broker
        self._tally = tally
        self._bouncing = asyncio.Lock()

    async def kill_and_start(self, *, down_s: float) -> None:
        """Kill -9 the broker, leave it down for a while, and start it again."""
        async with self._bouncing:
            await asyncio.to_thread(self._broker.kill)
            try:
                await asyncio.sleep(down_s)
            finally:  # also when a stuck run is given up: its report needs the broker
                await asyncio.to_thread(self._broker.start)
            await self._spare()

    async def restart(self) -> None:
        """Stop the broker in good order and start it again."""
        async with self._bouncing:
            # As one step: a run that is given up meanwhile must not leave the broker down.
            await asyncio.to_thread(self._stop_and_start)
            await self._spare()

    def _stop_and_start(self) -> None:
        self._broker.stop()
        self._broker.start()

    async def wait_until_up(self) -> None:
        """Wait until the broker answers."""
        await wait_until(self._answers, description="the broker answers", timeout_s=UP_TIMEOUT_S)

    async def _spare(self) -> None:
        """Keep the next bounce away until work goes on: one after the other would only show that nothing works."""
        await self.wait_until_up()
        before = self._tally.finished
        await wait_until(
            lambda: self._tally.finished > before or self._tally.finished == self._tally.inputs,
            description="records are finished again",
            timeout_s=float("inf"),  # the run has its own patience
        )
        await asyncio.sleep(SPARED_S)

    async def _answers(self) -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._broker.bootstrap_servers)
        try:
            await admin.start()
        except KafkaError:
            return False
        finally:
            await admin.close()
        return True


def rebalances(broker_log: str, group_id: str) -> int:
    """Count how often the group came to a new assignment."""
    return _STABILIZED.findall(broker_log).count(group_id)
