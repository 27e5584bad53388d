"""The upload events of stored verdicts: read again from their topic, as long as it holds them."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from service.core.records import SourceRecord
from service.kafka.connection import KafkaConnection
from service.kafka.errors import ConsumerFailedError
from service.kafka.reader import open_snapshot
from service.settings.settings import Settings

_NEAR = 500
"""Offsets between two records below which reading on is cheaper than connecting once more."""

_AT_ONCE = 4
"""Connections to the brokers."""


class Place(NamedTuple):
    """Where a record is, as verdicts name it."""

    topic: str
    partition: int
    offset: int


async def upload_records(settings: Settings, places: Collection[Place]) -> Mapping[Place, SourceRecord]:
    """Return the records at these places of `topics.uploads` that the brokers still hold and that can be read.

    A topic that was created anew may hold another event at a place: compare its image id. Raises
    `KafkaUnreachableError`, `AccessDeniedError` or `TopicMissingError`.
    """
    topic = settings.topics.uploads
    connection, turns = KafkaConnection(settings.kafka), asyncio.Semaphore(_AT_ONCE)
    found: dict[Place, SourceRecord] = {}

    wanted = frozenset(places)

    async def read(partition: int, offsets: range) -> None:
        async with turns:
            for record in await _records(connection, wanted, topic, partition, offsets):
                found[Place(topic, partition, record.offset)] = record

    try:
        async with asyncio.TaskGroup() as group:
            for partition, offsets in ranges_of([place for place in places if place.topic == topic]):
                group.create_task(read(partition, offsets), name="read uploads")
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return {place: found[place] for place in places if place in found}


async def _records(
    connection: KafkaConnection, wanted: Collection[Place], topic: str, partition: int, offsets: range
) -> Sequence[SourceRecord]:
    async with open_snapshot(
        connection, topic, setting="topics.uploads", partitions={partition}, offsets=offsets
    ) as snapshot:
        try:
            # Those between them are not kept: with images inside, they would fill the memory.
            records = [
                record
                async for batch in snapshot.batches()
                for record in batch
                if (topic, partition, record.offset) in wanted
            ]
        except ConsumerFailedError:
            if snapshot.refusal is None:
                raise
            return []  # brokers hold records that they cannot give out, and those alone are missing
    return [record for record in records if record.unreadable is None]


def ranges_of(places: Collection[Place]) -> Iterator[tuple[int, range]]:
    """Yield partitions with the ranges of offsets that hold all places, apart where they lie far apart."""
    ordered = sorted(set(places), key=lambda place: (place.partition, place.offset))
    for partition, group in groupby(ordered, key=lambda place: place.partition):
        start, *later = [place.offset for place in group]
        last = start
        for offset in later:
            if offset - last > _NEAR:
                yield partition, range(start, last + 1)
                start = offset
            last = offset
        yield partition, range(start, last + 1)
