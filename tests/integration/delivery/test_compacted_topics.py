"""Outcome topics that are compacted refuse what has no key: an upload without one gets its outcome all the same."""

import orjson
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from service.kafka.connection import KafkaConnection
from service.kafka.topic_configs import topic_configs
from service.kafka.topic_limits import TopicLimits
from testing.topics import publish
from testing.waiting import wait_until
from tests.integration.delivery.world import Orders, World

pytestmark = pytest.mark.docker

POLICY = "cleanup.policy"


async def compact(world: World, *topics: str) -> None:
    """Make topics compacted, and wait until the broker goes by it."""
    admin = AIOKafkaAdminClient(bootstrap_servers=world.settings.kafka.bootstrap_servers)
    await admin.start()
    try:
        await admin.alter_configs(
            [ConfigResource(ConfigResourceType.TOPIC, each, {POLICY: "compact"}) for each in topics]
        )
    finally:
        await admin.close()
    connection = KafkaConnection(world.settings.kafka)

    async def is_in_force() -> bool:
        return await topic_configs(connection, topics, [POLICY]) == {each: {POLICY: "compact"} for each in topics}

    await wait_until(is_in_force, description="the policy is in force", timeout_s=10)


async def upload(world: World, *uploads: tuple[bytes | None, Orders]) -> None:
    records = [(key, orjson.dumps(orders), ()) for key, orders in uploads]
    await publish(world.settings.kafka.bootstrap_servers, world.settings.topics.uploads, records)


@pytest.mark.parametrize("is_readable", [True, False])
@pytest.mark.parametrize("is_known_at_start", [True, False])
async def test_uploads_without_a_key_get_outcomes_with_keys_of_their_own(
    world: World, monkeypatch: pytest.MonkeyPatch, *, is_known_at_start: bool, is_readable: bool
) -> None:
    if not is_readable:
        monkeypatch.setattr(TopicLimits, "reads_with", lambda *_: None)
    compacted = (world.settings.topics.verdicts, world.settings.topics.dead_letters)
    if is_known_at_start:
        await compact(world, *compacted)
    async with world.processor():
        await upload(world, (b"a", {}))
        await world.outcomes(1)
        await compact(world, *compacted)
        await upload(
            world, (None, {}), (b"b", {"fail": "rejected"}), (None, {"fail": "rejected"}), (None, {}), (b"c", {})
        )
        await world.outcomes(6)
        await world.reader.linger(quiet_s=1.0)
    keys = [record.key for record in world.reader.records]
    assert len(keys) == len({*keys}) == 6
    assert {b"a", b"b", b"c"} < {*keys}
    assert None not in keys
    dead_letters = world.reader.of(world.settings.topics.dead_letters)
    uploads = world.settings.topics.uploads.encode()
    assert sorted(dead_letter.key.partition(b"/")[0] for dead_letter in dead_letters) == sorted([b"b", uploads])


async def test_elsewhere_an_outcome_has_no_key_if_its_upload_has_none(world: World) -> None:
    async with world.processor():
        await upload(world, (None, {}), (None, {"fail": "rejected"}))
        await world.outcomes(2)
    assert [record.key for record in world.reader.records] == [None, None]
