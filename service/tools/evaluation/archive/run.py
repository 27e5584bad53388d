"""Follows the topics of outcomes, and that of audits where there are any, into an archive."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import structlog

from service.core.records import Partition, SourceRecord
from service.delivery.required_topics import audit_topics
from service.kafka.connection import KafkaConnection
from service.kafka.tail import LogMovedError, Tail, open_tail, partitions_in
from service.settings.kafka import KafkaSettings
from service.settings.settings import Settings
from service.tools.evaluation.archive.buffer import ArchiveBuffer
from service.tools.evaluation.archive.flush import topic_offsets
from service.tools.evaluation.archive.writer import ArchiveWriter, open_writer
from service.tools.evaluation.stored.archive_errors import ArchiveOffsetsLostError
from service.tools.evaluation.stored.archive_store import ArchiveStore

log = structlog.get_logger(__name__)

_POLL_S = 0.5
_POLL_RECORDS = 500
"""Each may belong to a file of its own."""
_REFRESH_S = 60.0
"""How often it is looked for partitions that were added."""


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """When rows are written, and when the archiver ends."""

    once: bool = False
    """End when everything is archived that was committed at the start."""
    flush_bytes: int = 64 * 1024 * 1024
    """Of rows in memory."""
    flush_s: float = 300.0
    """After the first row that waits."""


@dataclass(frozen=True, slots=True)
class Flushed:
    """What one flush wrote, or a run in all."""

    counts: Mapping[str, int]
    """Rows by table, and `forgotten` and `skipped` records."""
    files: int
    behind: int
    """Offsets between what is archived and what was committed when the topics were opened."""


OpenTail = Callable[[KafkaSettings, Mapping[str, str]], AbstractAsyncContextManager[Tail]]
OnFlush = Callable[[Flushed], None]


async def archive_topics(
    settings: Settings,
    store: ArchiveStore,
    options: ArchiveOptions,
    on_flush: OnFlush = lambda flushed: None,
    *,
    open_tail: OpenTail = open_tail,
) -> None:
    """Archive the topics of outcomes until it is cancelled, or with `once` to their present end.

    Raises the errors of `open_writer`, `open_tail` and `ArchiverReplacedError`, `ArchiveOffsetsLostError`.
    """
    archiver = _Archiver(settings, store, options, on_flush, open_tail)
    while not await archiver.follow():
        pass


class _Archiver:
    """One run."""

    def __init__(
        self,
        settings: Settings,
        store: ArchiveStore,
        options: ArchiveOptions,
        on_flush: OnFlush,
        open_tail: OpenTail,
    ) -> None:
        self._settings = settings
        self._topics = settings.topics.outcomes() | audit_topics(settings)
        self._store = store
        self._options = options
        self._on_flush = on_flush
        self._open_tail = open_tail
        self._writer: ArchiveWriter = open_writer(store)
        self._buffer = self._new_buffer()
        self._first_row_at_s: float | None = None
        self._starts: dict[Partition, int] = {}

    async def follow(self) -> bool:
        """Follow the partitions that exist; return whether that was all, False when the topics must be opened again."""
        async with self._open_tail(self._settings.kafka, self._topics) as tail:
            try:
                await self._finish(tail)
                self._seek(tail)
                if self._options.once:
                    await self._read_until(tail, tail.bounds.ends)
                else:
                    await self._read_on(tail)
            except LogMovedError:
                self._flush(tail)
                return False
            self._flush(tail)
            return self._options.once

    async def _read_on(self, tail: Tail) -> None:
        """Read until there are other partitions."""
        connection, checked_at_s = KafkaConnection(self._settings.kafka), time.monotonic()
        while True:
            await self._read(tail)
            if time.monotonic() - checked_at_s > _REFRESH_S:
                checked_at_s = time.monotonic()
                if set(await partitions_in(connection, self._topics)) != set(tail.positions):
                    return

    async def _read_until(self, tail: Tail, ends: Mapping[Partition, int]) -> None:
        while any(tail.positions[partition] < end for partition, end in ends.items()):
            await self._read(tail)

    async def _read(self, tail: Tail) -> None:
        records = await self._next(tail)
        self._buffer.add(records)
        if records and self._first_row_at_s is None:
            self._first_row_at_s = time.monotonic()
        waited_s = 0.0 if self._first_row_at_s is None else time.monotonic() - self._first_row_at_s
        if self._buffer.is_full(self._options.flush_bytes) or waited_s >= self._options.flush_s:
            self._flush(tail)

    async def _next(self, tail: Tail) -> Sequence[SourceRecord]:
        return await tail.read(timeout_s=_POLL_S, max_records=_POLL_RECORDS)

    def _flush(self, tail: Tail) -> None:
        """Write what waits; offsets without a row are read again at the next start, which changes nothing."""
        buffer, self._first_row_at_s = self._buffer, None
        if folders := tuple(buffer.folders):
            offsets = topic_offsets(self._starts, tail.positions, tail.bounds.topic_ids)
            self._writer.flush(offsets, folders, buffer.files())
            self._starts = dict(tail.positions)
        if buffer.counts:
            if buffer.counts["skipped"]:
                log.warning("archive.skipped", records=buffer.counts["skipped"], first=buffer.first_skipped)
            behind = sum(max(0, end - tail.positions[place]) for place, end in tail.bounds.ends.items())
            self._on_flush(Flushed(buffer.counts, len(folders), behind))
        self._buffer = self._new_buffer()

    async def _finish(self, tail: Tail) -> None:
        """Complete the newest flush if a process was ended while it wrote its files."""
        plan = self._writer.newest
        self._writer.apply_tombstones(self._writer.forgotten.folders)
        if plan is None or not self._writer.unfinished():
            return
        ends = {place: end for place, end in plan.ends().items() if self._is_same(tail, place)}
        tail.seek(self._checked(tail, plan.starts()))
        buffer = self._new_buffer()
        while any(tail.positions[place] < end for place, end in ends.items()):
            for record in await self._next(tail):
                if record.offset < ends.get(Partition(record.topic, record.partition), 0):
                    buffer.add([record])
        empty = self._writer.finish(buffer.files())
        log.info("archive.flush_finished", number=plan.number, files_without_rows=empty)

    def _seek(self, tail: Tail) -> None:
        """Go on where the newest flush ends."""
        newest = self._writer.newest
        tail.seek(self._checked(tail, newest.ends() if newest else {}))
        self._starts = dict(tail.positions)

    def _checked(self, tail: Tail, wanted: Mapping[Partition, int]) -> dict[Partition, int]:
        """Return offsets that the logs have, and report what was deleted before it was archived."""
        starts, lost = {}, 0
        for place, start in wanted.items():
            if not self._is_same(tail, place):
                continue
            beginning, end = tail.bounds.beginnings[place], tail.bounds.ends[place]
            if start > end:
                facts = {"topic": place.topic, "partition": place.partition, "start": start, "end": end}
                raise ArchiveOffsetsLostError(place=self._store.place, **facts)
            starts[place] = max(start, beginning)
            lost += starts[place] - start
        if lost:
            log.error("archive.records_lost", offsets=lost, detail="deleted by the brokers before they were archived")
        return starts

    def _is_same(self, tail: Tail, place: Partition) -> bool:
        """Return whether a partition of the newest flush is still there, in a topic that was not made again."""
        newest = self._writer.newest
        before, now = (newest.topic_ids() if newest else {}).get(place.topic), tail.bounds.topic_ids.get(place.topic)
        is_same = before is None or now is None or before == now
        if not is_same:
            log.error("archive.topic_made_anew", topic=place.topic, partition=place.partition)
        return is_same and place in tail.bounds.ends

    def _new_buffer(self) -> ArchiveBuffer:
        return ArchiveBuffer(self._settings.topics, self._writer.forgotten.holds)
