import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.errors import ProducerClosed

from service.delivery.offsets import Progress
from service.delivery.transactional_writer import was_committed
from service.kafka.connection import discard
from service.kafka.errors import PartitionLostError


class DyingProducer:
    """A producer whose sender died of its own batch, as aiokafka's does while it waits to send a batch once more."""

    def __init__(self) -> None:
        self.failed_with: Exception | None = None
        self.client = SimpleNamespace(close=self._close)
        self.is_connected = True
        self._message_accumulator = SimpleNamespace(fail_all=self._fail_all, _batches={}, _pending_batches=set())
        self._txn_manager = SimpleNamespace(_transaction_waiter=None)

    def _fail_all(self, error: Exception) -> None:
        self.failed_with = error

    async def _close(self) -> None:
        self.is_connected = False

    async def stop(self) -> None:
        """Raise what ended the sender."""
        await asyncio.sleep(0)
        raise KeyError("a batch that was removed before")


async def test_a_producer_is_thrown_away_whatever_its_sender_died_of() -> None:
    producer = DyingProducer()
    await discard(producer)
    assert isinstance(producer.failed_with, ProducerClosed)
    assert not producer.is_connected


def test_the_fate_of_a_commit_is_read_from_what_is_stored() -> None:
    committed, attempted = Progress(10), Progress(20, 0b101)
    assert was_committed(attempted, attempted=attempted, committed=committed)
    assert not was_committed(committed, attempted=attempted, committed=committed)
    with pytest.raises(PartitionLostError):
        was_committed(Progress(15), attempted=attempted, committed=committed)
