"""The topics that the service needs: named, checked at start, created on request."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, NoError, TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code
from aiokafka.protocol.metadata import MetadataRequest

from service.kafka.connection import KafkaConnection, describe
from service.kafka.errors import AccessDeniedError, TopicCreationError, TopicMissingError
from service.settings.delivery import TopicSettings

JOURNAL_SETTING = "topics.dead_letters"
"""The setting that the name of the journal follows from."""

_CLEANUP_POLICY = "cleanup.policy"
_COMPACT = "compact"

_MAX_DEFAULT_REPLICAS = 3
"""As many as survive the loss of one broker while another is restarted."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """How topics are created."""

    partitions: int
    replication_factor: int | None
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TopicState:
    """What `ensure_topics` did with one topic."""

    setting: str
    topic: str
    partitions: int
    created: bool


def journal_topic(topics: TopicSettings) -> str:
    """Return the topic with the journal of `modstream dead-letters`: which dead letters were sent back or discarded."""
    return f"{topics.dead_letters}.done"


async def check_topics(connection: KafkaConnection, topics: Mapping[str, str]) -> None:
    """Raise `TopicMissingError` for a topic that does not exist: publishing to it would hang rather than fail.

    Raises `AccessDeniedError` for one that this client may know nothing of.
    """
    async with connection.running(connection.admin()) as admin:
        existing = await _partitions(admin, connection)
        missing = {setting: topic for setting, topic in topics.items() if topic not in existing}
        described = await described_topics(admin, list(missing.values())) if missing else []
    hidden = {topic["topic"] for topic in described if for_code(topic["error_code"]) is TopicAuthorizationFailedError}
    for setting, topic in missing.items():
        if topic in hidden:
            detail = "check the grants Describe and Read, or Describe and Write, on it"
            raise AccessDeniedError(operation=f"topic {topic} (setting {setting})", detail=detail)
        raise TopicMissingError(topic=topic, setting=setting)


async def described_topics(admin: AIOKafkaAdminClient, topics: Collection[str]) -> list[dict[str, Any]]:
    """Return the brokers' descriptions of topics, in the form of aiokafka's `describe_topics`.

    That method lets brokers with `auto.create.topics.enable` create the topics that it names; this function does not.
    Raises `KafkaError`, `OSError` or `TimeoutError` when no broker answers.
    """
    answer = await admin._send_request(MetadataRequest(list(topics), allow_auto_topic_creation=False))
    described: list[dict[str, Any]] = answer.to_object()["topics"]
    return described


async def partitions_of(connection: KafkaConnection) -> dict[str, int]:
    """Return the number of partitions of every topic that exists."""
    async with connection.running(connection.admin()) as admin:
        return await _partitions(admin, connection)


async def is_compacted(connection: KafkaConnection, topic: str) -> bool:
    """Return whether a topic keeps the newest record of every key for good; raises `AccessDeniedError`."""
    wanted = ConfigResource(ConfigResourceType.TOPIC, topic, {_CLEANUP_POLICY: None})
    async with connection.running(connection.admin()) as admin:
        (answer,) = await admin.describe_configs([wanted])
    ((code, detail, _, _, entries),) = answer.resources
    if code:
        raise AccessDeniedError(operation=f"reading the settings of topic {topic}", detail=detail or for_code(code))
    return [entry[1] for entry in entries if entry[0] == _CLEANUP_POLICY] == [_COMPACT]


async def ensure_journal(
    connection: KafkaConnection, topics: TopicSettings, *, replication_factor: int | None = None
) -> TopicState:
    """Create the journal of the dead letters if it is missing: one partition, compacted."""
    journal = {JOURNAL_SETTING: journal_topic(topics)}
    shape = _Shape(1, replication_factor, {_CLEANUP_POLICY: _COMPACT})
    (state,) = await _ensure(connection, journal, shape)
    return state


async def ensure_topics(
    connection: KafkaConnection,
    topics: Mapping[str, str],
    *,
    partitions: int,
    replication_factor: int | None = None,
) -> list[TopicState]:
    """Create the missing topics, with `replication_factor` copies or else three where there are as many brokers.

    Existing topics are left as they are. Raises `TopicCreationError` with what the brokers say.
    """
    return await _ensure(connection, topics, _Shape(partitions, replication_factor, {}))


async def _ensure(connection: KafkaConnection, topics: Mapping[str, str], shape: _Shape) -> list[TopicState]:
    async with connection.running(connection.admin()) as admin:
        before = await _partitions(admin, connection)
        missing = {setting: topic for setting, topic in topics.items() if topic not in before}
        if missing:
            await _create(admin, missing, shape)
            await _wait_for(admin, connection, set(missing.values()))
    return [
        TopicState(setting, topic, before.get(topic, shape.partitions), created=topic not in before)
        for setting, topic in topics.items()
    ]


async def _partitions(admin: AIOKafkaAdminClient, connection: KafkaConnection) -> dict[str, int]:
    """Return the number of partitions of every topic that exists."""
    try:
        described = await admin.describe_topics()
    except (KafkaError, OSError, TimeoutError) as error:
        raise await connection.unreachable(error) from error
    return {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}


async def _default_replicas(admin: AIOKafkaAdminClient) -> int:
    cluster = await admin.describe_cluster()
    return min(_MAX_DEFAULT_REPLICAS, len(cluster["brokers"]))


async def _create(admin: AIOKafkaAdminClient, missing: Mapping[str, str], shape: _Shape) -> None:
    settings = {topic: setting for setting, topic in missing.items()}
    replicas = shape.replication_factor or await _default_replicas(admin)
    new = [
        NewTopic(topic, num_partitions=shape.partitions, replication_factor=replicas, topic_configs=dict(shape.configs))
        for topic in settings
    ]
    answer = await admin.create_topics(new)
    for topic, code, *detail in answer.topic_errors:
        # Another process may have been quicker.
        if for_code(code) not in (NoError, TopicAlreadyExistsError):
            raise TopicCreationError(
                topic=topic, setting=settings[topic], detail=describe(for_code(code)(*filter(None, detail)))
            )


async def _wait_for(admin: AIOKafkaAdminClient, connection: KafkaConnection, topics: set[str]) -> None:
    """Return once the brokers know the topics: they say created before they do."""
    async with asyncio.timeout(connection.settings.request_timeout_s):
        while topics - (await _partitions(admin, connection)).keys():  # noqa: ASYNC110 - Kafka has no event
            await asyncio.sleep(0.05)
