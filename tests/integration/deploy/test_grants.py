"""The grants of deploy/strimzi/kafkausers.yaml on a broker that refuses everything else."""

import asyncio
import os
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import TopicAuthorizationFailedError

from service.core.records import OutgoingRecord, Partition
from service.delivery.engine_mark_store import EngineMarkStore
from service.delivery.processor import Processor
from service.delivery.required_topics import required_topics
from service.events.raw_event import tenant_of
from service.kafka.connection import KafkaConnection
from service.kafka.errors import AccessDeniedError
from service.kafka.steady_publisher import SteadyPublisher
from service.kafka.topics import ensure_journal, ensure_topics
from service.settings.delivery import DeadLetterSettings, RetrySettings
from service.settings.kafka import KafkaSettings
from service.settings.settings import Settings
from testing.kafka_with_grants import PASSWORD, KafkaWithGrants, running_kafka_with_grants
from testing.stream_worker import ObedientHandler

pytestmark = [pytest.mark.docker, pytest.mark.timeout(180)]

USERS = list(
    yaml.safe_load_all(
        (Path(__file__).parents[3] / "deploy" / "strimzi" / "kafkausers.yaml").read_text(encoding="utf-8")
    )
)

NEEDED = {"modstream", "modstream-operator", "uploader", "listings"}
"""Those of them that are tried here."""


MISSING = {
    "topic": r"topic images\.uploaded \(setting topics\.uploads\).*Describe and Read",
    "group": r"GroupAuthorizationFailedError.*kafka\.group_id",
    "transactionalId": r"TransactionalIdAuthorizationFailed.*kafka\.group_id",
}
"""A kind of grant → what is said where it is missing."""


def user_without(resource: str) -> dict[str, Any]:
    """Return the service's user without its grants on a kind of resource, under a name of its own."""
    user: dict[str, Any] = deepcopy(next(user for user in USERS if user["metadata"]["name"] == "modstream"))
    user["metadata"]["name"] = f"without-{resource.lower()}"
    grants = user["spec"]["authorization"]
    grants["acls"] = [acl for acl in grants["acls"] if acl["resource"]["type"] != resource]
    return user


@pytest.fixture(scope="module")
def kafka() -> Iterator[KafkaWithGrants]:
    """One broker."""
    known = [user for user in USERS if user["metadata"]["name"] in NEEDED]
    with running_kafka_with_grants([*known, *map(user_without, MISSING)]) as broker:
        yield broker


def signed_in(user: str) -> dict[str, str]:
    """Return the options of a stranger's client."""
    return {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": user,
        "sasl_plain_password": PASSWORD,
    }


def of_the_service(kafka: KafkaWithGrants) -> Settings:
    connection = {
        "bootstrap_servers": kafka.for_users,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_username": "modstream",
        "sasl_password": PASSWORD,
    }
    retry = RetrySettings(tiers=("1s",), max_attempts=1)
    notices = DeadLetterSettings(notice_tenants=("shop", "forum"))
    return Settings(kafka=KafkaSettings.model_validate(connection), retry=retry, dead_letter=notices)


async def test_every_user_can_do_its_work_and_no_other_users(kafka: KafkaWithGrants) -> None:
    settings = of_the_service(kafka)
    everything = KafkaConnection(KafkaSettings(bootstrap_servers=kafka.unrestricted))
    await ensure_topics(everything, required_topics(settings), partitions=1)
    await ensure_journal(everything, settings.topics)
    processor = Processor(settings, ObedientHandler(settings.topics.verdicts, b"allow"), tenant_of=tenant_of)
    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        group.create_task(processor.run(), name="processor")
        # A verdict, a dead letter, and a record that first goes through a retry topic.
        rejected = [b'{"fail": "rejected", "tenant": "%s"}' % tenant for tenant in (b"shop", b"forum")]
        await publish(kafka, settings.topics.uploads, b"{}", *rejected, b'{"fail": "transient"}')
        await read(kafka, settings.topics.verdicts, "listings-1", user="listings")
        await read(kafka, settings.topics.dead_letters, None, user=None, count=3)
        await read(kafka, notices_of("shop"), "uploader-1", user="uploader")
        await read(kafka, notices_of("forum"), None, user=None)
        processor.drain()
    assert await sent_back(kafka) == 3
    for topic in (notices_of("forum"), settings.topics.dead_letters):
        with pytest.raises(TopicAuthorizationFailedError):
            await read(kafka, topic, "uploader-1", user="uploader")
    with pytest.raises(TopicAuthorizationFailedError):
        await publish(kafka, settings.topics.verdicts, b"forged")
    with pytest.raises(TopicAuthorizationFailedError):
        await read(kafka, settings.topics.dead_letters, "listings-1", user="listings")


async def test_the_check_of_topics_needs_no_grants_but_the_services(kafka: KafkaWithGrants) -> None:
    settings = of_the_service(kafka)
    everything = KafkaConnection(KafkaSettings(bootstrap_servers=kafka.unrestricted))
    await ensure_topics(everything, required_topics(settings), partitions=1)
    status, output = await modstream(kafka, "modstream", "topics", "check")
    assert status == 0
    assert b"images.uploaded.dead.done" not in output


async def test_the_service_may_write_what_shadows_decide_and_audits_find(kafka: KafkaWithGrants) -> None:
    settings = of_the_service(kafka)
    everything = KafkaConnection(KafkaSettings(bootstrap_servers=kafka.unrestricted))
    topics = {"topics.shadow": settings.topics.shadow, "topics.audit": settings.topics.audit}
    await ensure_topics(everything, topics, partitions=1)
    publisher = SteadyPublisher(KafkaConnection(settings.kafka), is_idempotent=True, timeout_s=20.0)
    await publisher.publish_all([OutgoingRecord(topic, b"key", b"value", ()) for topic in topics.values()])
    await publisher.close()
    for topic in topics.values():
        await read(kafka, topic, None, user=None, count=1)


async def test_the_service_may_remember_what_its_engine_died_of(kafka: KafkaWithGrants) -> None:
    settings = of_the_service(kafka)
    place = Partition(settings.topics.uploads, 0)
    everything = KafkaConnection(KafkaSettings(bootstrap_servers=kafka.unrestricted))
    await ensure_topics(everything, required_topics(settings), partitions=1)
    store = EngineMarkStore(settings.kafka)
    await store.write({place: "something"})
    assert await store.read([place]) == {place: "something"}
    await store.close()


@pytest.mark.parametrize("resource", MISSING)
async def test_a_missing_grant_is_named_with_its_setting(kafka: KafkaWithGrants, resource: str) -> None:
    whole = of_the_service(kafka)
    user = user_without(resource)["metadata"]["name"]
    settings = whole.model_copy(update={"kafka": whole.kafka.model_copy(update={"sasl_username": user})})
    everything = KafkaConnection(KafkaSettings(bootstrap_servers=kafka.unrestricted))
    await ensure_topics(everything, required_topics(settings), partitions=1)
    async with asyncio.timeout(60):
        with pytest.raises(AccessDeniedError, match=MISSING[resource]):
            await Processor(settings, ObedientHandler(settings.topics.verdicts, b"allow"), tenant_of=tenant_of).run()


def notices_of(tenant: str) -> str:
    return f"images.uploaded.dead.notices.{tenant}"


async def sent_back(kafka: KafkaWithGrants) -> int:
    """Send all dead letters back as their operator, and return how many there were."""
    status, output = await modstream(kafka, "modstream-operator", "dead-letters", "redrive", "--execute", "--json")
    assert status == 0
    return int(orjson.loads(output)["done"])


async def modstream(kafka: KafkaWithGrants, user: str, *command: str) -> tuple[int | None, bytes]:
    """Run a command as a user; return its exit code and its output."""
    settings = {
        "BOOTSTRAP_SERVERS": kafka.for_users,
        "SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "SASL_USERNAME": user,
        "SASL_PASSWORD": PASSWORD,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "service", *command),
        env=os.environ | {f"MODSTREAM_KAFKA__{name}": value for name, value in settings.items()},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    return process.returncode, output


async def publish(kafka: KafkaWithGrants, topic: str, *values: bytes) -> None:
    """Publish as the uploader."""
    async with AIOKafkaProducer(bootstrap_servers=kafka.for_users, **signed_in("uploader")) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, b"42")


async def read(kafka: KafkaWithGrants, topic: str, group: str | None, *, user: str | None, count: int = 1) -> None:
    """Read so many records as a user, or without any restriction."""
    address, options = (kafka.for_users, signed_in(user)) if user else (kafka.unrestricted, {})
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=address,
        group_id=group,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        **options,
    )
    # A start that fails leaves connections open as well.
    try:
        await consumer.start()
        for _ in range(count):
            await consumer.getone()
    finally:
        await consumer.stop()
