"""Whether this process still belongs to its group, as the group's coordinator sees it."""

from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from service.delivery.offsets import Progress
from service.kafka.errors import CommitUnknownError
from service.kafka.topics import described_topics


class Membership:
    """Asks the group's coordinator, because a process that was suspended has an outdated view."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def confirm(self) -> bool:
        """Return whether the assignment of the current generation holds; raises `CommitUnknownError` without an answer.

        aiokafka has no public call for it: its heartbeat is the one request that names generation and member.
        """
        coordinator = self._consumer._coordinator
        if await coordinator._do_heartbeat():
            return True
        if coordinator.generation < 0:  # the coordinator did not know us, and aiokafka will join anew
            return False
        raise CommitUnknownError("the group's coordinator does not answer")


class StoredOffsets:
    """The group's stored progress, partition by partition."""

    def __init__(self, admin: AIOKafkaAdminClient, group_id: str) -> None:
        self._admin = admin
        self._group_id = group_id

    async def has_any(self, partitions: Collection[TopicPartition]) -> bool:
        """Return whether any of the partitions has a stored offset; raises `KafkaError` when brokers do not answer."""
        # Named one by one: brokers other than Apache's may not know the request for all that a group has.
        stored = await self._admin.list_consumer_group_offsets(self._group_id, partitions=list(partitions))
        if not stored:
            raise KafkaError(f"no answer for the offsets of {self._group_id}")
        return any(offset >= 0 for offset, _ in stored.values())

    async def fetch(self, partition: TopicPartition) -> Progress | None:
        """Return a partition's progress, None when none is stored; raises `KafkaError` when the brokers do not answer.

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


class GroupHistory:
    """Reads whether outcomes exist: a process stores an offset for each of its partitions before it publishes any."""

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
        """Return whether outcomes were published although the group has no offset for any partition of the topic.

        A retry topic without offsets is a new one while the group has offsets for the uploads.

        Raises `KafkaError`, `OSError` or `TimeoutError` when the brokers do not answer.
        """
        # In this order: who publishes meanwhile has stored offsets before.
        ends = await self._onlooker.end_offsets(await self._partitions(self._outcome_topics))
        if not any(ends.values()):
            return False
        return not await self._stored.has_any(await self._partitions({topic, self._uploads}))

    async def _partitions(self, topics: Collection[str]) -> list[TopicPartition]:
        return [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in await described_topics(self._admin, topics)
            for partition in topic["partitions"]
        ]
