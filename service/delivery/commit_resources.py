"""What the committers of all partitions share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from service.delivery.batch import CommitBacklog, CommitPace
from service.kafka.topic_limits import TopicLimits
from service.settings.process import CommitSettings

FindOutage = Callable[[], Awaitable[str | None]]
"""Says why the output topics take no records although brokers answer; None where nothing is to be seen."""


@dataclass(frozen=True, slots=True)
class CommitResources:
    """What the committers of all partitions share."""

    settings: CommitSettings
    pace: CommitPace
    backlog: CommitBacklog
    limits: TopicLimits
    find_outage: FindOutage
