"""The configs of the output topics, compared with the settings at start."""

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial

import structlog
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from service.kafka.connection import KafkaConnection, describe
from service.kafka.errors import AccessDeniedError, KafkaUnreachableError, TopicLimitError
from service.kafka.topic_limits import SETTING, TOPIC_CONFIG, TopicLimit, TopicLimits

log = structlog.get_logger(__name__)

LEAST_BYTES = 2048
"""A verdict without reasons and a dead letter that is cut to its reason and origin take less than this."""

_COMPRESSION = "compression.type"
_AS_PRODUCED = "producer"
_CLEANUP, _COMPACT = "cleanup.policy", "compact"


async def check_limits(connection: KafkaConnection, outputs: Mapping[str, str], limits: TopicLimits) -> None:
    """Read what the outputs, by the settings that name them, accept; warn where it is below `kafka.max_request_bytes`.

    Raises `TopicLimitError` where it is too little for any outcome.
    """
    max_bytes = connection.settings.max_request_bytes
    limits.reads_with(partial(read_limits, connection, frozenset(outputs.values()), max_bytes))
    await limits.refresh()
    for setting, topic in outputs.items():
        limit_bytes = limits.batch_bytes(topic)
        if limit_bytes is None or limit_bytes >= max_bytes:
            continue
        if limit_bytes < LEAST_BYTES:
            raise TopicLimitError(topic=topic, setting=setting, limit_bytes=limit_bytes, least_bytes=LEAST_BYTES)
        log.warning(
            "topic.limit_below_setting",
            topic=topic,
            named_by=setting,
            config=TOPIC_CONFIG,
            limit_bytes=limit_bytes,
            setting=SETTING,
            setting_bytes=max_bytes,
            consequence="larger outcomes are cut or become dead letters; give both the same number",
        )


async def read_limits(
    connection: KafkaConnection, topics: Iterable[str], max_bytes: int
) -> dict[str, TopicLimit] | None:
    """Return the topics that accept less than `max_bytes` or are compacted; None, with a warning, without an answer."""
    try:
        async with asyncio.timeout(connection.settings.request_timeout_s):
            configs = await topic_configs(connection, topics, (TOPIC_CONFIG, _COMPRESSION, _CLEANUP))
    except (AccessDeniedError, KafkaError, KafkaUnreachableError, OSError, TimeoutError) as error:
        log.warning("topic.limits_unknown", config=TOPIC_CONFIG, needed="DescribeConfigs", detail=describe(error))
        return None
    lower = {}
    for topic, entries in configs.items():
        limit_bytes = int(entries.get(TOPIC_CONFIG) or max_bytes)
        needs_key = _COMPACT in (entries.get(_CLEANUP) or "")
        if limit_bytes < max_bytes or needs_key:
            keeps = entries.get(_COMPRESSION, _AS_PRODUCED) == _AS_PRODUCED
            lower[topic] = TopicLimit(limit_bytes, limit_bytes, keeps_compression=keeps, needs_key=needs_key)
    return lower


async def topic_configs(
    connection: KafkaConnection, topics: Iterable[str], names: Iterable[str]
) -> dict[str, Mapping[str, str]]:
    """Return the values in force of some configs, the brokers' own where a topic has none.

    Raises `AccessDeniedError` for a topic whose configs this client may not read.
    """
    wanted = [ConfigResource(ConfigResourceType.TOPIC, topic, dict.fromkeys(names)) for topic in topics]
    async with connection.running(connection.admin()) as admin:
        answers = await admin.describe_configs(wanted)
    found: dict[str, Mapping[str, str]] = {}
    for code, detail, _, topic, entries in (resource for answer in answers for resource in answer.resources):
        if code:
            operation = f"reading the configs of topic {topic}"
            raise AccessDeniedError(operation=operation, detail=detail or for_code(code).__name__)
        found[topic] = {entry[0]: entry[1] for entry in entries}
    return found
