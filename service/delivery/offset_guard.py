"""Determines where a partition is read from, and what follows if its log does not fit the stored offset."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from service.core.records import Partition
from service.delivery.lost_offsets import Choice, LostOffsets, contradiction, deleted, going_on, missing, truncated
from service.delivery.offsets import Progress
from service.kafka.broker_errors import unknown_unless_denied
from service.kafka.errors import OffsetsLostError
from service.kafka.log_bounds import LogBounds
from service.telemetry import labels
from service.telemetry.instruments import OFFSETS_LOST

log = structlog.get_logger(__name__)

_CONFIRM_AFTER_S = 1.0
"""A new leader of a partition may report a lower end than the leader before; a second reading decides."""


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """The offset from which a partition is read, and the progress that belongs to it."""

    progress: Progress
    is_stored: bool = True
    """Whether the group's offset says so already; else it is to be stored before anything is published."""
    is_other_log: bool = False
    """Offsets no longer mean the records that they meant before: work on those is in vain."""


class History(Protocol):
    """What the group published before."""

    async def is_forgotten(self, topic: str) -> bool:
        """Return whether outcomes were published although the group has no offset for any partition of the topic."""
        ...


class OffsetGuard:
    """Decides by the setting `kafka.on_lost_offsets`, and keeps its decisions."""

    def __init__(
        self,
        read: Callable[[Collection[Partition]], Awaitable[Mapping[Partition, LogBounds]]],
        history: History,
        *,
        choice: Choice,
        group_id: str,
        trusts_ends: bool,
        confirm_after_s: float = _CONFIRM_AFTER_S,
    ) -> None:
        """`trusts_ends` is False for brokers whose answer about a log's end may be too low."""
        self._read = read
        self._history = history
        self._choice = choice
        self._group_id = group_id
        self._trusts_ends = trusts_ends
        self._confirm_after_s = confirm_after_s
        self._topic_ids: dict[Partition, str] = {}
        self._forgotten: set[str] = set()
        self._out_of_range: dict[Partition, int] = {}
        self._decided: dict[Partition, tuple[Progress | None, StartingPoint]] = {}
        """Decisions with the stored progress that they were made for. They hold until another one is stored: meanwhile
        the log may grow until it seems to fit the old one."""
        self.lost = 0
        """How often it went on in spite of a contradiction."""

    async def starting_point(self, partition: Partition, stored: Progress | None) -> StartingPoint:
        """Return where to begin.

        Raises `OffsetsLostError`, and `CommitUnknownError` when the brokers do not respond.
        """
        decided = self._decided.get(partition)
        if decided is not None and decided[0] == stored:
            return decided[1]
        self._decided.pop(partition, None)
        with unknown_unless_denied("offsets"):
            bounds = await self._bounds(partition)
            lost = await self._contradiction(partition, stored, bounds)
            if lost is not None:
                await asyncio.sleep(self._confirm_after_s)
                bounds = await self._bounds(partition)
                lost = await self._contradiction(partition, stored, bounds)
        if lost is not None:
            self._decide(partition, lost, bounds)
        self._out_of_range.pop(partition, None)
        if bounds.topic_id is not None:
            self._topic_ids[partition] = bounds.topic_id
        start = _starting_point(lost, stored, bounds, self._choice)
        # An offset for an empty partition would hide from the others, elsewhere too, that the group has none left.
        is_silent = stored is None and lost is None and partition.topic in self._forgotten
        start = replace(start, is_stored=is_silent or start.progress == stored)
        if lost is not None and not start.is_stored:
            self._decided[partition] = stored, start
        return start

    def is_other_log(self, partition: Partition, progress: Progress, bounds: LogBounds, *, read_to: int) -> bool:
        """Return whether the log of an open partition is no longer the one that was read up to an offset."""
        topic_id = progress.topic_id or self._topic_ids.get(partition)
        if topic_id and bounds.topic_id and topic_id != bounds.topic_id:
            return True
        return self._trusts_ends and bounds.end < read_to

    def note_out_of_range(self, partition: Partition, offset: int) -> None:
        """Record that the broker refused an offset as out of range; the end that it reports is then reliable."""
        self._out_of_range[partition] = offset

    def pass_deleted(self, partition: Partition, offset: int, bounds: LogBounds) -> None:
        """Continue at the start of the log, above the next offset to read; raises `OffsetsLostError`."""
        self._decide(partition, deleted(offset, bounds, at_most=bounds.start - offset), bounds)

    async def _bounds(self, partition: Partition) -> LogBounds:
        return (await self._read([partition]))[partition]

    async def _contradiction(
        self, partition: Partition, stored: Progress | None, bounds: LogBounds
    ) -> LostOffsets | None:
        known_topic_id = self._topic_ids.get(partition)
        lost: LostOffsets | None = None
        if stored is not None:
            lost = contradiction(stored, bounds, known_topic_id=known_topic_id, trusts_ends=self._trusts_ends)
        elif known_topic_id is not None:
            lost = contradiction(Progress(bounds.start, topic_id=known_topic_id), bounds, trusts_ends=False)
        elif await self._is_forgotten(partition.topic) and bounds.start < bounds.end:
            lost = missing(bounds)
        refused_at = self._out_of_range.get(partition, 0)
        return truncated(refused_at, bounds) if lost is None and refused_at > bounds.end else lost

    async def _is_forgotten(self, topic: str) -> bool:
        """Ask once: the first partition that goes on stores an offset, and the others were forgotten all the same."""
        if topic not in self._forgotten and await self._history.is_forgotten(topic):
            self._forgotten.add(topic)
        return topic in self._forgotten

    def _decide(self, partition: Partition, lost: LostOffsets, bounds: LogBounds) -> None:
        if self._choice == "stop":
            raise OffsetsLostError(
                group=self._group_id,
                topic=partition.topic,
                partition=partition.partition,
                cause=lost.cause,
                detail=lost.detail,
                advice=lost.advice,
                start=bounds.start,
                end=bounds.end,
            )
        self.lost += 1
        OFFSETS_LOST.add(1, {labels.CAUSE: lost.cause})
        log.error(
            "partition.offsets_lost",
            topic=partition.topic,
            partition=partition.partition,
            cause=lost.cause,
            detail=lost.detail,
            on_lost_offsets=self._choice,
        )


def _starting_point(
    lost: LostOffsets | None, stored: Progress | None, bounds: LogBounds, choice: Choice
) -> StartingPoint:
    """Pure: turn what was found into where to begin, with the topic's present id."""
    if lost is not None:
        progress = going_on(lost, stored, bounds, choice)
    else:
        # Deleted records that were all finished leave the base behind the log's start.
        progress = Progress(bounds.start) if stored is None else stored.raised(bounds.start)
    is_other_log = lost is not None and lost.cause != "records_deleted"
    return StartingPoint(replace(progress, topic_id=bounds.topic_id), is_other_log=is_other_log)
