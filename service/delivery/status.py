"""Lag and progress of the partitions, for gauges and health: a snapshot that any thread may read."""

from dataclasses import dataclass

from service.core.records import Partition
from service.delivery.offsets import PartitionProgress
from service.kafka.fetch_refusals import Refusal
from service.kafka.log_bounds import LogBounds


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """Lag and progress of one open partition."""

    partition: Partition
    lag: int
    """Offsets without a committed outcome; what is finished above the base is taken off."""
    committed_lag: int
    """Offsets above the committed one."""
    backlog: int
    """Offsets that were not received yet."""
    unstable: int = 0
    """Offsets that an open transaction holds back: readers of committed records cannot read them yet."""
    unstable_since_s: float | None = None
    """Since when that transaction is the oldest open one, by `time.monotonic`; None when nothing is held back."""
    refusal: Refusal | None = None
    """Why brokers do not let the partition be read, by `time.monotonic`; None while it can be read."""


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """The status of all partitions of one process."""

    is_complete: bool
    """The group has given this process its share, none at all perhaps, and every partition of it is open."""
    open_partitions: int
    partitions: tuple[PartitionStatus, ...]
    """Partitions whose ends the brokers have reported."""
    span_share: float
    """How near the partition with the longest span is to the bound on spans, 0 to 1."""
    brokers_answered_at_s: float | None
    """When they last answered, by `time.monotonic`; None if they never did."""
    offsets_lost: int = 0
    """How often a partition was gone on from although its log contradicted the stored offset."""


def status_of(
    partition: Partition, progress: PartitionProgress, bounds: LogBounds, refusal: Refusal | None = None
) -> PartitionStatus:
    """Return where a partition stands; counts never fall below 0, although records may be newer than the bounds.

    Lag counts what can be read: up to the last stable offset.
    """
    committed, end = progress.committed, bounds.stable_end
    committed_lag = max(end - committed.base, 0)
    return PartitionStatus(
        partition,
        lag=max(committed_lag - committed.bitmap.bit_count(), 0),
        committed_lag=committed_lag,
        backlog=max(end - progress.received, 0),
        unstable=bounds.end - end,
        unstable_since_s=bounds.unstable_since_s,
        refusal=refusal,
    )


@dataclass(frozen=True, slots=True)
class ProcessorStatus:
    """The state of the processor at one moment."""

    in_flight: int
    records_share: float
    """How much of the window's bound on records is taken, 0 to 1."""
    slots_share: float
    """How many of the work slots are occupied, 0 to 1."""
    bytes_share: float
    """How much of its bound on the bytes of events is taken, 0 to 1."""
    oldest_ms: int | None
    """Kafka timestamp of the oldest record without a committed outcome; None when there is none."""
    is_draining: bool
    stream: StreamStatus | None
    """Status of the stream. None before the group is joined and after it is left."""
