"""Pure: records that wait for a better time, in a topic for each delay, so that all in a topic are due in order."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.core.errors import ModstreamError
from service.core.headers import ATTEMPT, LAST_MS, NOT_BEFORE, REASON, decimal, to_carry_on
from service.core.records import Headers, OutgoingRecord, SourceRecord
from service.delivery.origin import Origin
from service.settings.settings import Settings
from service.settings.types import delay_s

_CLOCK_TOLERANCE_S = 60.0
"""How far the clocks of two processes may differ before a not-before counts as forged."""


@dataclass(frozen=True, slots=True)
class RetryTier:
    """One delay and its topic."""

    delay_s: int
    topic: str


def retry_tiers(settings: Settings) -> tuple[RetryTier, ...]:
    """Return the tiers in the order in which a record goes through them."""
    return tuple(
        RetryTier(delay_s(delay), f"{settings.topics.uploads}.retry.{delay}") for delay in settings.retry.tiers
    )


def next_tier(tiers: Sequence[RetryTier], topic: str) -> RetryTier | None:
    """Return where a record of a topic goes when its attempts are used up; None when there is nothing left."""
    topics = [tier.topic for tier in tiers]
    following = topics.index(topic) + 1 if topic in topics else 0
    return tiers[following] if following < len(tiers) else None


def deferred_record(
    record: SourceRecord,
    origin: Origin,
    tier: RetryTier,
    error: ModstreamError,
    *,
    attempt: int,
    now_s: float,
    trace_headers: Headers = (),
) -> OutgoingRecord:
    """Return the record for a tier: key, value and the uploader's headers as they were.

    `trace_headers` lead to the trace of the attempt that failed.
    """
    due_ms = round((now_s + tier.delay_s) * 1000)
    headers = (
        *to_carry_on(record.headers),
        *origin.headers(),
        (ATTEMPT, b"%d" % attempt),
        (REASON, error.reason.encode()),
        (NOT_BEFORE, b"%d" % due_ms),
        *trace_headers,
    )
    return OutgoingRecord(tier.topic, record.key, record.value, headers)


def due_s(headers: Headers, *, timestamp_ms: int, delay_s: float, now_s: float) -> float:
    """Return the epoch second before which a record of a retry topic must not be judged, 0 when it may be at any time.

    Every client that may write to the topic may write the header, and one record that waits holds up its partition.
    So a record waits at most the tier's delay from its own timestamp, and from now; a later not-before does not
    count.
    """
    due_ms = decimal(dict(headers).get(NOT_BEFORE), at_most=LAST_MS)
    if due_ms is None:
        return 0.0
    due = due_ms / 1000
    if timestamp_ms >= 0:
        due = min(due, timestamp_ms / 1000 + delay_s)
    latest = now_s + delay_s
    return min(due, latest) if due <= latest + _CLOCK_TOLERANCE_S else 0.0
