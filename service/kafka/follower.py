"""Follows a topic from near its end, outside any group: what was published last, and what comes from now on."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from service.core.errors import FatalError
from service.core.records import SourceRecord
from service.kafka.broker_errors import denial
from service.kafka.connection import KafkaConnection, describe
from service.kafka.errors import AccessDeniedError, ConsumerFailedError, TopicMissingError
from service.kafka.topics import partitions_of
from service.settings.kafka import KafkaSettings

log = structlog.get_logger(__name__)

_POLL_TIMEOUT_S = 1.0
_DENIED_PAUSE_S = 60.0
"""Grants change rarely."""


class Follower:
    """Reads committed records of a topic for as long as it runs, whatever fails meanwhile."""

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        *,
        setting: str,
        backlog: int,
        on_records: Callable[[Sequence[SourceRecord]], None],
        refresh_s: float = 60.0,
        pause_s: float = 5.0,
    ) -> None:
        """`setting` names the topic; `backlog` is how many older records are read first.

        Partitions that are added are followed after `refresh_s`, and a failure pauses for `pause_s`.
        """
        self._connection = KafkaConnection(settings)
        self._topic = topic
        self._setting = setting
        self._backlog = backlog
        self._on_records = on_records
        self._refresh_s = refresh_s
        self._pause_s = pause_s
        self._positions: dict[TopicPartition, int] = {}

    async def run(self) -> None:
        """Follow the topic until it is cancelled."""
        while True:
            try:
                await self._follow()
            except FatalError as error:  # for the stream; requests can do without
                log.warning("topic.not_followed", topic=self._topic, reason=error.reason, detail=str(error))
                await asyncio.sleep(_DENIED_PAUSE_S if isinstance(error, AccessDeniedError) else self._pause_s)
            except Exception:  # a defect must not end it in silence
                log.exception("topic.not_followed", topic=self._topic)
                await asyncio.sleep(self._pause_s)

    async def _follow(self) -> None:
        """Follow the present partitions; return when there are others."""
        places = await self._places()
        async with self._connection.running(self._connection.reader(())) as consumer:
            try:
                await self._begin(consumer, places)
                checked_at_s = time.monotonic()
                while True:
                    for place, records in (await consumer.getmany(timeout_ms=round(_POLL_TIMEOUT_S * 1000))).items():
                        self._on_records(records)
                        self._positions[place] = records[-1].last_offset + 1
                    if time.monotonic() - checked_at_s > self._refresh_s:
                        checked_at_s = time.monotonic()
                        if await self._places() != places:
                            return
            except KafkaError as error:
                raise denial("reading", error) or ConsumerFailedError(detail=describe(error)) from error

    async def _places(self) -> list[TopicPartition]:
        partitions = (await partitions_of(self._connection)).get(self._topic)
        if partitions is None:
            raise TopicMissingError(topic=self._topic, setting=self._setting)
        return [TopicPartition(self._topic, number) for number in range(partitions)]

    async def _begin(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> None:
        consumer.assign(places)
        beginnings, ends = await asyncio.gather(consumer.beginning_offsets(places), consumer.end_offsets(places))
        for place in places:
            from_offset = ends[place] - math.ceil(self._backlog / len(places))
            start = self._positions.get(place, from_offset)
            # A topic that was made again ends before the position.
            consumer.seek(place, max(beginnings[place], min(start, ends[place])))
