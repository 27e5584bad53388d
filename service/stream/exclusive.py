"""Publishes records together or not at all, for a command that only one process may carry out at a time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.errors import IllegalOperation, KafkaError, ProducerFenced

from service.settings import CommitSettings
from service.stream.answers import unknown_unless_denied
from service.stream.connection import KafkaConnection
from service.stream.errors import CommitUnknownError, PublishUnknownError, ShutOutError, TransactionsNeededError
from service.stream.publishing import publish
from service.stream.records import OutgoingRecord
from service.stream.transactional_writer import discard

# An open transaction of a process that vanished holds back whoever reads committed records of the topics in it, so it
# must not stay open much longer than a commit may take.
_GRACE_S = 5.0

# A transaction that failed is given up at once where the broker still listens.
_ABORT_TIMEOUT_S = 5.0


class ExclusivePublisher:
    """The only one of its name; made by `open_exclusive_publisher`."""

    def __init__(self, producer: AIOKafkaProducer, *, timeout_s: float) -> None:
        self._producer = producer
        self._timeout_s = timeout_s

    async def publish(self, records: Sequence[OutgoingRecord]) -> None:
        """Publish records in one transaction; raises `ShutOutError`, `PublishUnknownError` or `AccessDeniedError`."""
        try:
            with unknown_unless_denied("transactions"):
                async with asyncio.timeout(self._timeout_s):
                    await self._producer.begin_transaction()
                    await publish(self._producer, records)
                    await self._producer.commit_transaction()
        except CommitUnknownError as error:
            if _was_fenced(error):
                raise ShutOutError from error
            raise PublishUnknownError(records=len(records), detail=str(error)) from error


@asynccontextmanager
async def open_exclusive_publisher(
    connection: KafkaConnection, name: str, settings: CommitSettings
) -> AsyncIterator[ExclusivePublisher]:
    """Shut out whoever has the name: its open transaction is over, and it can begin no other, once the block begins.

    Raises `TransactionsNeededError` where the broker has none, and `AccessDeniedError`.
    """
    producer = connection.transactional_producer(name, timeout_s=settings.timeout_s + _GRACE_S)
    try:
        await _start(producer, timeout_s=settings.timeout_s)
        yield ExclusivePublisher(producer, timeout_s=settings.timeout_s)
    finally:
        await _abort(producer)
        await discard(producer)


async def _start(producer: AIOKafkaProducer, *, timeout_s: float) -> None:
    try:
        with unknown_unless_denied("transactions"):
            async with asyncio.timeout(timeout_s):
                await producer.start()
    except CommitUnknownError as error:
        raise TransactionsNeededError(detail=str(error)) from error


async def _abort(producer: AIOKafkaProducer) -> None:
    """Give up a transaction that is open, if any."""
    with contextlib.suppress(AssertionError, IllegalOperation, KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(_ABORT_TIMEOUT_S):
            await producer.abort_transaction()


def _was_fenced(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ProducerFenced):
            return True
        error = error.__cause__
    return False
