"""Handlers for tests of the pipeline, and a processor around them on a stream in memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.core.errors import FatalError, RejectedError, TransientError
from service.core.records import OutgoingRecord
from service.delivery.handler import Handler, Job
from service.delivery.processor import Processor
from service.settings.delivery import RetrySettings
from service.settings.settings import Settings
from testing.memory_stream import MemoryStream
from testing.waiting import wait_until

SETTINGS = Settings(retry=RetrySettings(max_attempts=3, initial_backoff_s=0.001))


class WrongError(RejectedError):
    """The record is at fault."""

    reason = "test.wrong"
    message = "wrong"


class BusyError(TransientError):
    """The world is at fault."""

    reason = "test.busy"
    message = "busy"


class BrokenError(FatalError):
    """The service is at fault."""

    reason = "test.broken"
    message = "broken"


def verdict(job: Job, value: bytes = b"allow") -> tuple[OutgoingRecord, ...]:
    """Return one outcome."""
    return (OutgoingRecord("images.verdicts", job.record.key, value, ()),)


class RequestLimiter:
    """A handler that holds every record until the test lets it go."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.cancelled: list[int] = []
        self._gates: dict[int, asyncio.Event] = {}

    async def __call__(self, job: Job, /) -> tuple[OutgoingRecord, ...]:
        """Wait for the gate of the record's offset."""
        offset = job.record.offset
        self.started.append(offset)
        try:
            await self._gates.setdefault(offset, asyncio.Event()).wait()
        except asyncio.CancelledError:
            self.cancelled.append(offset)
            raise
        return verdict(job)

    def let_go(self, *offsets: int) -> None:
        """Open the gates of these offsets, for records that are yet to come as well."""
        for offset in offsets:
            self._gates.setdefault(offset, asyncio.Event()).set()


@asynccontextmanager
async def running(stream: MemoryStream, handler: Handler, settings: Settings = SETTINGS) -> AsyncIterator[Processor]:
    """Run a processor, and drain it at the end."""
    processor = Processor(settings, handler, connect=stream.connect)
    run = asyncio.create_task(processor.run())
    yield processor
    processor.drain()
    await run


async def committed(stream: MemoryStream, count: int, *, timeout_s: float = 5) -> None:
    """Wait until so many records are committed."""
    description = f"{count} are committed"
    await wait_until(lambda: len(stream.committed) == count, description=description, timeout_s=timeout_s)
