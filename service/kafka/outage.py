"""Determines why the output topics accept no records although brokers respond.

The service waits for an outage, not for a missing topic.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.errors import KafkaError, for_code

from service.kafka.connection import KafkaConnection, describe
from service.kafka.errors import AccessDeniedError, KafkaUnreachableError, TopicMissingError
from service.kafka.topic_configs import topic_configs
from service.kafka.topics import described_topics

_MIN_IN_SYNC = "min.insync.replicas"
_NO_LEADER = -1


async def find_outage(connection: KafkaConnection, topics: Mapping[str, str]) -> str | None:
    """Return what keeps the topics, named by their settings, from taking records; None when nothing is to be seen.

    Raises `TopicMissingError`.
    """
    try:
        async with asyncio.timeout(connection.settings.request_timeout_s):
            async with connection.running(connection.admin()) as admin:
                described = {topic["topic"]: topic for topic in await described_topics(admin, topics.values())}
            minimum = await _min_in_sync(connection, topics.values())
    except (KafkaError, KafkaUnreachableError, OSError, TimeoutError) as error:
        return describe(error)
    for setting, topic in topics.items():
        if _is_missing(described.get(topic)):
            raise TopicMissingError(topic=topic, setting=setting)
    return next(filter(None, (trouble(described[topic], minimum.get(topic, 1)) for topic in topics.values())), None)


def trouble(topic: Mapping[str, Any], min_in_sync: int) -> str | None:
    """Pure: return the fault in the brokers' description of a topic, None if it should accept records."""
    for partition in topic["partitions"]:
        name = f"{topic['topic']}/{partition['partition']}"
        if partition["leader"] == _NO_LEADER:
            return f"{name} has no leader"
        # Brokers ask for no more replicas than there are.
        needed = min(min_in_sync, len(partition["replicas"]))
        if len(partition["isr"]) < needed:
            return f"{name} has {len(partition['isr'])} replicas in sync, and {_MIN_IN_SYNC} is {min_in_sync}"
    return None


def _is_missing(topic: Mapping[str, Any] | None) -> bool:
    return topic is None or for_code(topic["error_code"]).__name__ == "UnknownTopicOrPartitionError"


async def _min_in_sync(connection: KafkaConnection, topics: Iterable[str]) -> dict[str, int]:
    try:
        configs = await topic_configs(connection, topics, (_MIN_IN_SYNC,))
    except AccessDeniedError:
        return {}
    return {topic: int(entries.get(_MIN_IN_SYNC) or 1) for topic, entries in configs.items()}
