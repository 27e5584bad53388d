"""The logs of topics as operators and transactional uploaders handle them: plain aiokafka, nothing of the service's."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.structs import OffsetAndMetadata

Message = tuple[bytes | None, bytes | None]


@asynccontextmanager
async def admin_client(bootstrap_servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Give an admin client."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def transaction(bootstrap_servers: str, name: str) -> AsyncIterator[AIOKafkaProducer]:
    """Yield a producer in an open transaction, which the caller ends or leaves hanging."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, transactional_id=name, transaction_timeout_ms=600_000
    )
    await producer.start()
    await producer.begin_transaction()
    try:
        yield producer
    finally:
        if not producer._txn_manager.is_in_transaction():
            await producer.stop()
        else:
            await producer.client.close()
            producer._sender._sender_task.cancel()


async def publish_in_transaction(
    bootstrap_servers: str, place: TopicPartition, messages: Sequence[Message], *, outcome: str = "commit"
) -> None:
    """Publish records to one partition in a transaction that is committed or, with `outcome="abort"`, aborted."""
    async with transaction(bootstrap_servers, f"uploader-{place.topic}-{place.partition}") as producer:
        for key, value in messages:
            await producer.send_and_wait(place.topic, value, key, partition=place.partition)
        await (producer.commit_transaction() if outcome == "commit" else producer.abort_transaction())


async def publish_to(bootstrap_servers: str, place: TopicPartition, messages: Sequence[Message]) -> None:
    """Publish records to one partition, a batch each."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers)
    await producer.start()
    try:
        for key, value in messages:
            await producer.send_and_wait(place.topic, value, key, partition=place.partition)
    finally:
        await producer.stop()


async def brokers_lag(bootstrap_servers: str, group: str, places: Collection[TopicPartition]) -> int:
    """Return the lag as Kafka's tools and KEDA count it: the high watermarks less the committed offsets."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, group_id=None)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(list(places))
    finally:
        await consumer.stop()
    stored = await stored_offsets(bootstrap_servers, group, places)
    return sum(end - max(stored[place].offset, 0) for place, end in ends.items())


async def stored_offsets(
    bootstrap_servers: str, group: str, places: Collection[TopicPartition]
) -> Mapping[TopicPartition, OffsetAndMetadata]:
    """Return what a group has stored, offset -1 where it has nothing."""
    async with admin_client(bootstrap_servers) as admin:
        stored: Mapping[TopicPartition, OffsetAndMetadata] = await admin.list_consumer_group_offsets(
            group, partitions=list(places)
        )
    return stored


async def set_offsets(
    bootstrap_servers: str, group: str, offsets: Mapping[TopicPartition, int], *, metadata: str = ""
) -> None:
    """Store offsets for a group without members; without metadata as `kafka-consumer-groups --reset-offsets` does."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(list(offsets))
        await consumer.commit({place: OffsetAndMetadata(offset, metadata) for place, offset in offsets.items()})
    finally:
        await consumer.stop()


async def delete_records(bootstrap_servers: str, before: Mapping[TopicPartition, int]) -> None:
    """Delete records below offsets, as `kafka-delete-records` does and retention."""
    async with admin_client(bootstrap_servers) as admin:
        await admin.delete_records({place: RecordsToDelete(before_offset=offset) for place, offset in before.items()})


async def add_partitions(bootstrap_servers: str, topic: str, total: int) -> None:
    """Raise the number of a topic's partitions."""
    async with admin_client(bootstrap_servers) as admin:
        await admin.create_partitions({topic: NewPartitions(total_count=total)})


async def delete_topic(bootstrap_servers: str, topic: str) -> None:
    """Delete a topic."""
    async with admin_client(bootstrap_servers) as admin:
        await admin.delete_topics([topic])


async def create_topic(bootstrap_servers: str, topic: str, partitions: int) -> bool:
    """Create a topic and return whether that worked: one that is being deleted still exists."""
    async with admin_client(bootstrap_servers) as admin:
        answer = await admin.create_topics([NewTopic(topic, partitions, 1)])
    return not any(code for _, code, *_ in answer.topic_errors)
