"""The main loop: receive → admit → handle → hand over to the committer → finish."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import structlog

from service.core.availability import EngineAvailability
from service.core.errors import EngineDeadError, FatalError
from service.core.records import Partition, SourceRecord
from service.delivery.assignment import StreamListener
from service.delivery.attempts import Attempts
from service.delivery.dead_letter_limit import DeadLetterLimit
from service.delivery.engine_marks import NO_MEMORY
from service.delivery.engine_suspects import EngineSuspects
from service.delivery.handler import READING_TURN_S, Handler, Read, TenantOf, names_no_tenant, reading_of
from service.delivery.in_flight import Committer, InFlightRecord, InFlightRecords, InFlightResources
from service.delivery.metrics import OutcomeMetrics
from service.delivery.offsets import Progress
from service.delivery.open_stream import open_stream
from service.delivery.resolution import FinishedRecord, Resolution
from service.delivery.status import ProcessorStatus, StreamStatus
from service.delivery.window import KeyOrder, Window, WorkSlots
from service.kafka.errors import OutcomesRefusedError
from service.kafka.topic_limits import TopicLimits
from service.settings.settings import Settings
from service.telemetry import labels, names
from service.telemetry.instruments import STAGE_DURATION
from service.telemetry.record_trace import RecordTracer

log = structlog.get_logger(__name__)

_KEEP_ALIVE_S = 30.0
"""How often a full window lets the group know that this process works: a tenth of what the group waits for."""

_WAIT = {labels.STAGE: names.WAIT}


class Stream(Protocol):
    """The source of records."""

    async def receive(self, max_records: int) -> Sequence[tuple[Committer, Sequence[SourceRecord]]]:
        """Wait a while for records; return them with the committer of their partition."""
        ...

    async def keep_alive(self) -> None:
        """Keep the group membership alive while no records are taken."""
        ...

    def wake(self) -> None:
        """Let the current `receive` return at once, or else the next one."""
        ...

    def status(self) -> StreamStatus:
        """Return lag and progress of all open partitions."""
        ...


Connect = Callable[[Settings, StreamListener, TopicLimits], AbstractAsyncContextManager[Stream]]


@dataclass(frozen=True, slots=True)
class Counters:
    """The records in flight now, and those committed since the start."""

    in_flight: int
    finished: int
    dead_lettered: int


class Processor:
    """Runs a handler on every record of the input topics, each to exactly one committed outcome."""

    def __init__(
        self,
        settings: Settings,
        handler: Handler,
        *,
        read: Read | None = None,
        tenant_of: TenantOf = names_no_tenant,
        availability: EngineAvailability | None = None,
        suspects: EngineSuspects | None = None,
        connect: Connect = open_stream,
        tracer: RecordTracer | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._read = read
        self._availability = availability or EngineAvailability()
        self._suspects = suspects or EngineSuspects(NO_MEMORY)
        self._connect = connect
        self._limits = TopicLimits(settings.kafka.max_request_bytes, compression=settings.kafka.compression)
        self._attempts = Attempts(settings, handler, limits=self._limits, tracer=tracer, tenant_of=tenant_of)
        self._dead_letter_limit = DeadLetterLimit(settings.dead_letter)
        # Without a reader all records are one tenant's: to read past them gains nothing.
        self._window = Window(settings.window, reads_ahead=read is not None)
        self._slots = WorkSlots(settings.window.max_records)
        self._order: KeyOrder[InFlightRecord] | None = KeyOrder() if settings.ordering == "key" else None
        self._in_flight = InFlightRecords()
        self._shared = InFlightResources(self._window, self._slots, self._start, self._smaller)
        self._stream: Stream | None = None
        self._stopping = False
        self._failure: Exception | None = None
        self._metrics = OutcomeMetrics()

    async def run(self) -> None:
        """Process until `drain` was called and what was in flight is committed or `shutdown.drain_s` is over.

        Raises `FatalError` when the service cannot start or go on; nothing is lost then.
        """
        async with self._connect(self._settings, self, self._limits) as stream:
            self._stream = stream
            try:
                await self._consume(stream)
                await self._finish_all()
            finally:
                await self._abort_all()
                await self._suspects.close()  # before the partitions get new owners
        self._stream = None
        log.info("processor.stopped", finished=self._metrics.finished, dead_lettered=self._metrics.dead_lettered)
        if self._failure is not None:
            raise self._failure

    def drain(self) -> None:
        """Stop receiving, and let `run` return once records in flight are committed. Calls may repeat."""
        self._stopping = True
        self._window.interrupt()
        self._availability.interrupt()
        if self._stream is not None:
            self._stream.wake()

    def counters(self) -> Counters:
        """Return a snapshot of the counters."""
        return Counters(self._window.records, self._metrics.finished, self._metrics.dead_lettered)

    def status(self) -> ProcessorStatus:
        """Return the records in flight and the state of the stream; safe in any thread."""
        return ProcessorStatus(
            in_flight=self._window.records,
            records_share=self._window.records_share,
            slots_share=self._slots.share,
            bytes_share=self._window.bytes_share,
            oldest_ms=self._in_flight.oldest_ms(),
            is_draining=self._stopping,
            stream=self._stream.status() if self._stream else None,
        )

    def on_held(self, partitions: frozenset[Partition]) -> None:
        """Abort the records of partitions that other processes hold now."""
        self._in_flight.keep_only(partitions)
        self._suspects.keep_only(partitions)

    def on_opened(self, partition: Partition, progress: Progress) -> None:
        """Abort records that another owner has finished; the others are adopted when they are delivered again."""
        self._in_flight.abort_finished(partition, progress)
        self._suspects.opened(partition, progress)

    def on_committed(self, partition: Partition, records: Sequence[FinishedRecord]) -> None:
        """Count and remove the records of one commit."""
        self._metrics.committed(record.resolution for record in records)
        self._suspects.committed(partition, (record.offset for record in records))
        self._in_flight.end(partition, records)

    def on_failed(self, error: FatalError) -> None:
        """Stop with a fatal error; unfinished records stay uncommitted."""
        self._fail(error)

    async def _consume(self, stream: Stream) -> None:
        while not self._stopping:
            if not self._window.takes_more:
                await self._wait(stream, self._window.wait_for_room)
                continue
            if not self._availability.is_available:
                await self._wait(stream, self._availability.wait)  # nothing could judge it
                continue
            received = await stream.receive(self._window.poll)
            if self._stopping:
                return  # what came meanwhile stays uncommitted, for the next owner
            await self._begin([self._admit(record, committer) for committer, records in received for record in records])

    async def _wait(self, stream: Stream, change: Callable[[], Awaitable[None]]) -> None:
        """Wait for a change for a while, and stay in the group meanwhile."""
        try:
            async with asyncio.timeout(_KEEP_ALIVE_S):
                await change()
        except TimeoutError:
            await stream.keep_alive()

    def _admit(self, record: SourceRecord, committer: Committer) -> InFlightRecord | None:
        """Take in a record; None for one that is in flight already."""
        if self._in_flight.adopt(record, committer):
            return None
        item = InFlightRecord(record, committer, self._shared)
        self._in_flight.begin(item)
        return item

    async def _begin(self, items: Sequence[InFlightRecord | None]) -> None:
        """Read records and let them wait for their turn; the event loop gets its own whenever some have taken long."""
        until_s = self._clock() + READING_TURN_S
        for item in items:
            if item is None or not item.is_in_window:
                continue
            if self._read is not None and item.record.unreadable is None:
                item.take_reading(reading_of(self._read, item.record))
                if self._clock() > until_s:
                    await asyncio.sleep(0)
                    until_s = self._clock() + READING_TURN_S
            if item.is_in_window:  # which a rebalance may have changed meanwhile
                self._line_up(item)

    def _line_up(self, item: InFlightRecord) -> None:
        if self._order is not None:
            item.on_left = self._start_successor
            if not self._order.admit(item.record.key, item):
                return
        self._enqueue(item)

    def _start_successor(self, item: InFlightRecord) -> None:
        successor = self._order.finish(item.record.key, item) if self._order else None
        if successor is not None:
            self._enqueue(successor)

    def _enqueue(self, item: InFlightRecord) -> None:
        """Start a record whose turn has come: at once if it begins by fetching, else when it has a work slot."""
        if item.reading.is_fetched:
            self._start(item)
        else:
            item.request_slot()

    def _start(self, item: InFlightRecord) -> bool:
        if self._stopping:
            return False  # it stays uncommitted, for the next owner
        record = item.record
        name = f"handle {record.topic}/{record.partition}/{record.offset}"
        item.task = asyncio.get_running_loop().create_task(self._handle(item), name=name)
        return True

    async def _handle(self, item: InFlightRecord) -> None:
        item.is_under_way = True
        try:
            STAGE_DURATION.record(time.perf_counter() - item.received_at_s, _WAIT)
            self._finish(item, await self._attempts.resolve(item))
        except FatalError as error:
            self._fail(error)
        except Exception:  # noqa: BLE001 - a defect around the handler: it would end each process that reads the record
            self._finish_reduced(item)
        finally:
            item.leave_window()

    def _smaller(self, item: InFlightRecord, refusal: OutcomesRefusedError) -> Resolution:
        """Return outcomes that fit, for a record whose outcomes a topic refused; raises `DeadLetterLimitError`."""
        resolution = self._attempts.replace(item, item.resolution, refusal)
        if item.resolution.outcome != "dead_lettered":
            self._dead_letter_limit.observe(item.reading.tenant, resolution.fault)
        return resolution

    def _finish(self, item: InFlightRecord, resolution: Resolution) -> None:
        if resolution.outcome != "put_off":
            self._dead_letter_limit.observe(item.reading.tenant, resolution.fault)
        item.resolve(resolution)
        item.submit()

    def _finish_reduced(self, item: InFlightRecord) -> None:
        try:
            self._finish(item, self._attempts.reduced(item))
        except Exception as error:  # noqa: BLE001 - nothing is left to publish for the record
            self._fail(error)

    async def _finish_all(self) -> None:
        """Wait for what is in flight as long as a drain may take; a failed service only commits what is done."""
        tasks = [item.task for item in self._in_flight.under_way() if item.task]
        if tasks and self._failure is None:
            _, late = await asyncio.wait(tasks, timeout=self._settings.shutdown.drain_s)
            if late:
                log.warning("processor.drain_timed_out", unfinished=len(late))

    async def _abort_all(self) -> None:
        items = self._in_flight.under_way()
        for item in items:
            item.abort()
        await asyncio.gather(*(item.task for item in items if item.task), return_exceptions=True)

    def _fail(self, error: Exception) -> None:
        if isinstance(error, EngineDeadError):
            self._suspects.note_death()
        if self._failure is None:
            log.error("processor.failed", error=error)
            self._failure = error
        self.drain()
