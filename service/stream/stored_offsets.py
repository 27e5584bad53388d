"""Reads what a group has stored about its partitions; `consumer.committed()` would drop the metadata."""

from collections.abc import Collection

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from service.stream.offsets import Progress


class StoredOffsets:
    """The group's stored progress, partition by partition."""

    def __init__(self, admin: AIOKafkaAdminClient, group_id: str) -> None:
        self._admin = admin
        self._group_id = group_id

    async def has_any(self, partitions: Collection[TopicPartition]) -> bool:
        """Tell whether an offset is stored for any of the partitions; raises `KafkaError` when it cannot be told."""
        # Named one by one: brokers other than Apache's may not know the request for all that a group has.
        stored = await self._admin.list_consumer_group_offsets(self._group_id, partitions=list(partitions))
        if not stored:
            raise KafkaError(f"no answer for the offsets of {self._group_id}")
        return any(offset >= 0 for offset, _ in stored.values())

    async def fetch(self, partition: TopicPartition) -> Progress | None:
        """Return a partition's progress, None when none is stored; raises `KafkaError` when it cannot be told.

        The answer is current only after the start of the partition's transactional producer: that ends the
        transaction of a previous owner, which this request does not wait for.
        """
        return (await self.fetch_all([partition]))[partition]

    async def fetch_all(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Progress | None]:
        """Return the progress of partitions as `fetch` does."""
        stored = await self._admin.list_consumer_group_offsets(self._group_id, partitions=list(partitions))
        # A coordinator that is loading or elsewhere answers with no partition at all: no answer, not no offset.
        if missing := [partition for partition in partitions if partition not in stored]:
            raise KafkaError(f"no answer for the offset of {missing[0]}")
        return {
            partition: None if (found := stored[partition]).offset < 0 else Progress.decode(*found)
            for partition in partitions
        }
