"""The part of a partition that its commits use, for both kinds of writers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiokafka import TopicPartition

from service.delivery.group_state import StoredOffsets
from service.kafka.topic_limits import TopicLimits
from service.settings.delivery import CommitSettings


@dataclass(frozen=True, slots=True)
class CommitTarget:
    """A partition whose outcomes are committed."""

    partition: TopicPartition
    stored: StoredOffsets
    """Where the partition's progress is read."""
    settings: CommitSettings
    limits: TopicLimits
    """What the topics of the outcomes accept."""
    is_member: Callable[[], Awaitable[bool]]
    """Returns whether this process still belongs to the group, and so may write."""
