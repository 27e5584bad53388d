"""Bounces of brokers that leave the event loop free, and the brokers' own count of rebalances."""

import asyncio
import re

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from testing.chaos.outcome_counts import OutcomeCounts
from testing.kafka import KafkaBroker
from testing.kafka_cluster import KafkaCluster
from testing.waiting import wait_until

ENVIRONMENT = {
    # Sessions shorter than the usual 6 s make room for more zombies in a short run.
    "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
    # A killed broker's partitions get new leaders after this time; 9 s by default.
    "KAFKA_BROKER_SESSION_TIMEOUT_MS": "4000",
    "KAFKA_BROKER_HEARTBEAT_INTERVAL_MS": "1000",
}
SPARED_S = 3.0
# It takes 5 to 10 s; machines that run much else need longer.
UP_TIMEOUT_S = 120.0
ASK_TIMEOUT_MS = 5000
ASK_AGAIN_S = 0.3
_STABILIZED = re.compile(r"Stabilized group (\S+) generation \d+")


class Bouncer:
    """Takes a broker down and up again, one at a time as a careful operator would; addresses and data stay."""

    def __init__(self, cluster: KafkaCluster, counts: OutcomeCounts) -> None:
        self._cluster = cluster
        self._counts = counts
        self._bouncing = asyncio.Lock()

    async def kill_and_start(self, choice: float, *, down_s: float) -> None:
        """Kill -9 a broker, leave it down for a while, and start it again; `choice` in [0, 1) says which."""
        broker = self._pick(choice)
        async with self._bouncing:
            await asyncio.to_thread(broker.kill)
            try:
                await asyncio.sleep(down_s)
            finally:  # also when a stuck run is given up: its report needs the broker
                await asyncio.to_thread(broker.start)
            await self._spare()

    async def restart(self, choice: float) -> None:
        """Stop a broker in good order and start it again."""
        broker = self._pick(choice)
        async with self._bouncing:
            # As one step: a run that is given up meanwhile must not leave the broker down.
            await asyncio.to_thread(_stop_and_start, broker)
            await self._spare()

    async def wait_until_whole(self) -> None:
        """Wait until every replica of every partition is in sync."""
        await wait_until(
            self._is_whole, description="all replicas are in sync", timeout_s=UP_TIMEOUT_S, every_s=ASK_AGAIN_S
        )

    def _pick(self, choice: float) -> KafkaBroker:
        return self._cluster.nodes[int(choice * len(self._cluster.nodes))]

    async def _spare(self) -> None:
        """Keep the next bounce away until work goes on: one after the other would only show that nothing works."""
        await self.wait_until_whole()
        before = self._counts.finished
        await wait_until(
            lambda: self._counts.finished > before or self._counts.finished == self._counts.inputs,
            description="records are finished again",
            timeout_s=float("inf"),  # the run has its own patience
        )
        await asyncio.sleep(SPARED_S)

    async def _is_whole(self) -> bool:
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self._cluster.bootstrap_servers, request_timeout_ms=ASK_TIMEOUT_MS
        )
        try:
            await admin.start()
            topics = await admin.describe_topics()
        except (KafkaError, TimeoutError):
            return False
        finally:
            await admin.close()
        partitions = [partition for topic in topics for partition in topic["partitions"]]
        return all(len(partition["isr"]) == len(self._cluster.nodes) for partition in partitions)


def _stop_and_start(broker: KafkaBroker) -> None:
    broker.stop()
    broker.start()


def rebalances(broker_log: str, group_id: str) -> int:
    """Count how often the group came to a new assignment."""
    return _STABILIZED.findall(broker_log).count(group_id)
