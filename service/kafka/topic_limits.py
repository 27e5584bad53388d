"""The limits of each output topic, size and key of records: read from the brokers, and learned from refusals."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import NamedTuple

from service.core.records import OutgoingRecord
from service.kafka.errors import OutcomeTooLargeError
from service.kafka.publisher import STAND_IN_KEY_BYTES, compressed_bytes, record_bytes

SETTING = "kafka.max_request_bytes"
TOPIC_CONFIG = "max.message.bytes"

_REFRESH_S = 300.0
"""How soon a limit that was raised is used; one that was lowered shows at once, by a refusal."""


class TopicLimit(NamedTuple):
    """The largest batch of one topic in bytes, as brokers measure it (compressed), and whether records need a key."""

    batch_bytes: int
    """Batches, and dead letters that have to be cut, are made no larger."""
    record_bytes: int
    """A larger record is refused."""
    keeps_compression: bool = True
    """Whether the topic stores batches as they come; otherwise the brokers measure them again after decompression."""
    needs_key: bool = False
    """Whether the topic is compacted: brokers refuse a record without a key, and its whole batch with it."""


ReadLimits = Callable[[], Awaitable[Mapping[str, TopicLimit] | None]]
"""Asks the brokers; returns the topics that accept less than `kafka.max_request_bytes` or need keys; None when the
brokers do not say."""


class TopicLimits:
    """The limits of the output topics, which the makers of outcomes and the writers share."""

    def __init__(
        self,
        max_request_bytes: int,
        *,
        compression: str,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._max_request_bytes = max_request_bytes
        self._compression = compression
        self._sleep = sleep
        self._lower: Mapping[str, TopicLimit] = {}
        self._is_known = False
        self._read: ReadLimits | None = None

    def reads_with(self, read: ReadLimits) -> None:
        """Set the function that reads the limits from the brokers."""
        self._read = read

    async def refresh(self) -> None:
        """Replace all limits by those that the brokers report, because an operator may have changed a topic."""
        if self._read is not None:
            limits = await self._read()
            self._is_known = limits is not None
            self._lower = limits or {}

    async def follow(self) -> None:
        """Read the limits every few minutes until cancelled. Limits learned from refusals are learned again then."""
        while True:
            await self._sleep(_REFRESH_S)
            await self.refresh()

    async def learn(self, topic: str, *, refused_bytes: int, records: int) -> bool:
        """Take note of a batch that a topic refused; True when the topic's own limit explains it.

        Where the limit cannot be read it is halved until the brokers accept what is sent.
        """
        await self.refresh()
        known = self._lower.get(topic)
        if known is not None and known.record_bytes < refused_bytes:
            return True
        half = max(refused_bytes // 2, 1)
        largest = refused_bytes - 1 if records == 1 else self._max_request_bytes
        if known is not None:
            half, largest = min(half, known.batch_bytes), min(largest, known.record_bytes)
        needs_key = known is not None and known.needs_key
        self._lower = {**self._lower, topic: TopicLimit(half, largest, needs_key=needs_key)}
        return False

    async def learn_key(self, topic: str) -> None:
        """Record that a topic refused records without a key.

        Brokers may not name the reason; a missing key is the likely one.
        """
        await self.refresh()
        if not self._is_known:
            limit = self._lower.get(topic) or TopicLimit(self._max_request_bytes, self._max_request_bytes)
            self._lower = {**self._lower, topic: limit._replace(needs_key=True)}

    def needs_key(self, topic: str) -> bool:
        """Return whether a topic refuses records without a key."""
        limit = self._lower.get(topic)
        return limit is not None and limit.needs_key

    def batch_bytes(self, topic: str) -> int | None:
        """Return the largest batch for a topic in bytes, None without a limit."""
        limit = self._lower.get(topic)
        return None if limit is None else limit.batch_bytes

    def cut_bytes(self, topic: str) -> int:
        """Return the bytes to which a record that is too large for a topic is cut."""
        limit = self._lower.get(topic)
        if limit is None:
            return self._max_request_bytes
        return min(limit.batch_bytes, self._max_request_bytes) - STAND_IN_KEY_BYTES * limit.needs_key

    def check(self, record: OutgoingRecord) -> None:
        """Raise `OutcomeTooLargeError` for a record that its topic would refuse."""
        size_bytes = record_bytes(record)
        if size_bytes > self._max_request_bytes:
            raise OutcomeTooLargeError(
                topic=record.topic, size_bytes=size_bytes, limit_bytes=self._max_request_bytes, limit=SETTING
            )
        limit = self._lower.get(record.topic)
        if limit is None:
            return
        key_bytes = STAND_IN_KEY_BYTES if limit.needs_key and record.key is None else 0
        if size_bytes + key_bytes > limit.record_bytes:
            self._check_compressed(record, limit, size_bytes, key_bytes)

    def accepts(self, record: OutgoingRecord) -> bool:
        """Return whether a record fits the known limit of its topic."""
        try:
            self.check(record)
        except OutcomeTooLargeError:
            return False
        return True

    def fits(self, topic: str, records: Iterable[OutgoingRecord]) -> bool:
        """Return whether a topic accepts those of the records that are for it, by its known limit."""
        return all(self.accepts(record) for record in records if record.topic == topic)

    def _check_compressed(self, record: OutgoingRecord, limit: TopicLimit, size_bytes: int, key_bytes: int) -> None:
        if limit.keeps_compression:
            size_bytes = compressed_bytes(record, self._compression)
        size_bytes += key_bytes
        if size_bytes > limit.record_bytes:
            raise OutcomeTooLargeError(
                topic=record.topic,
                size_bytes=size_bytes,
                limit_bytes=limit.record_bytes,
                limit=f"{TOPIC_CONFIG} of the topic",
            )
