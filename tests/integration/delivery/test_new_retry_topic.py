"""On Kafka: a tier that is added to a group at work is no loss of offsets."""

from aiokafka import TopicPartition

from service.settings.delivery import RetrySettings
from testing.logs import publish_to
from tests.integration.delivery.world import World


async def test_a_retry_topic_that_is_new_to_a_group_at_work_is_read_from_its_beginning(
    world_with_retries: World,
) -> None:
    world = world_with_retries
    before = world.settings.model_copy(update={"retry": RetrySettings(tiers=())})
    await world.publish([{}, {}, {}])
    async with world.processor(before):
        await world.outcomes(3)
    # As a process puts a record off that ends before the retry topic's partition has stored an offset.
    retry_topic = TopicPartition(f"{world.settings.topics.uploads}.retry.1s", 0)
    await publish_to(world.settings.kafka.bootstrap_servers, retry_topic, [(b"3", b"{}")])

    async with world.processor():
        await world.outcomes(4)
        await world.reader.linger(quiet_s=1.0)

    assert sorted(record.key for record in world.reader.records) == [b"0", b"1", b"2", b"3"]
