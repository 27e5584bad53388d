"""Whether a group without offsets has worked before: then its offsets expired or were deleted."""

from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from service.stream.stored_offsets import StoredOffsets


class GroupHistory:
    """Looks at the outcomes: a process stores an offset for each of its partitions before it publishes any."""

    def __init__(
        self,
        admin: AIOKafkaAdminClient,
        onlooker: AIOKafkaConsumer,
        stored: StoredOffsets,
        *,
        uploads: str,
        outcome_topics: Collection[str],
    ) -> None:
        """`uploads` is the topic that every group of the service reads, whatever retry topics it has."""
        self._admin = admin
        self._onlooker = onlooker
        self._stored = stored
        self._uploads = uploads
        self._outcome_topics = outcome_topics

    async def is_forgotten(self, topic: str) -> bool:
        """Tell whether outcomes were published although the group has no offset for any partition of the topic.

        A retry topic without offsets is a new one while the group has offsets for the uploads.

        Raises `KafkaError`, `OSError` or `TimeoutError` when it cannot be told.
        """
        # In this order: who publishes meanwhile has stored offsets before.
        ends = await self._onlooker.end_offsets(await self._partitions(self._outcome_topics))
        if not any(ends.values()):
            return False
        return not await self._stored.has_any(await self._partitions({topic, self._uploads}))

    async def _partitions(self, topics: Collection[str]) -> list[TopicPartition]:
        described = await self._admin.describe_topics(list(topics))
        return [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in described
            for partition in topic["partitions"]
        ]
