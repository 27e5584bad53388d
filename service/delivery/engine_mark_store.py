"""Keeps texts about partitions beside the group's offsets: as metadata of offsets that a second group commits.

The second group, `<group>.engine`, has no members. It needs no topic, and the next owner of a partition finds what is
kept there, on whatever machine.
"""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TypeVar

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CoordinatorLoadInProgressError, KafkaError, for_code
from aiokafka.protocol.commit import OffsetCommitRequest

from service.core.records import Partition
from service.kafka.broker_errors import BACKOFF_S
from service.kafka.connection import KafkaConnection, stop_client
from service.settings.kafka import KafkaSettings

Answer = TypeVar("Answer")

_TIMEOUT_S = 5.0
"""Time limit for reading or writing all partitions. A coordinator that moves takes a second or two."""


def marks_group(group_id: str) -> str:
    """Return the group whose offsets' metadata hold the marks of a group's partitions."""
    return f"{group_id}.engine"


class EngineMarkStore:
    """Reads and writes the marks of partitions over a connection of its own, which the first request opens."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._connection = KafkaConnection(settings)
        self._group_id = marks_group(settings.group_id)
        self._admin: AIOKafkaAdminClient | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Close the connection. Harmless if it was never opened."""
        admin, self._admin = self._admin, None
        if admin is not None:
            await stop_client(admin)

    async def read(self, partitions: Collection[Partition]) -> Mapping[Partition, str]:
        """Return the text about each partition, empty where there is none; raises `OSError` if it cannot be read."""
        asked = [TopicPartition(*partition) for partition in partitions]

        async def ask(admin: AIOKafkaAdminClient) -> Mapping[Partition, str]:
            found = await admin.list_consumer_group_offsets(self._group_id, partitions=asked)
            if missing := [place for place in asked if place not in found]:
                raise CoordinatorLoadInProgressError(missing)  # one that loads, or is elsewhere, answers so
            return {Partition(*place): found[place].metadata or "" for place in asked}

        return await self._answer(ask)

    async def write(self, marks: Mapping[Partition, str]) -> None:
        """Store a text about each partition; raises `OSError` if it cannot be stored."""
        topics = defaultdict(list)
        for (topic, partition), text in marks.items():
            topics[topic].append((partition, 0, text))
        # Generation -1 and no member: what a consumer commits that belongs to no group.
        request = OffsetCommitRequest(self._group_id, -1, "", -1, list(topics.items()))

        async def ask(admin: AIOKafkaAdminClient) -> None:
            answer = await admin._send_request(request, await admin.find_coordinator(self._group_id))
            for code in (code for _, partitions in answer.topics for _, code in partitions if code):
                raise for_code(code)

        await self._answer(ask)

    async def _answer(self, ask: Callable[[AIOKafkaAdminClient], Awaitable[Answer]]) -> Answer:
        """Ask until there is an answer, for as long as it may take."""
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                for pause_s in itertools.chain(BACKOFF_S, itertools.repeat(BACKOFF_S[-1])):
                    try:
                        return await ask(await self._client())
                    except KafkaError as error:
                        if not error.retriable:
                            raise
                    await asyncio.sleep(pause_s)
        except (KafkaError, TimeoutError) as error:
            raise OSError(f"group {self._group_id}: {type(error).__name__}") from error
        raise AssertionError("repeating ended")  # pragma: no cover - mypy cannot know that it does not

    async def _client(self) -> AIOKafkaAdminClient:
        async with self._opening:
            if self._admin is None:
                admin = self._connection.admin()
                await self._connection.start(admin)
                self._admin = admin
            return self._admin
