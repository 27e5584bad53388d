"""Pure: records that wait for a better time, in a topic for each delay, so that all in a topic are due in order."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.errors import ModstreamError
from service.setting_types import delay_s
from service.settings import Settings
from service.stream.dead_letter import REASON
from service.stream.origin import ATTEMPT, Origin, to_carry_on
from service.stream.records import Headers, OutgoingRecord, SourceRecord

NOT_BEFORE = "modstream-not-before"
"""When the next attempt may begin, in epoch milliseconds as decimal digits."""


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


def put_off_record(
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


def due_s(headers: Sequence[tuple[str, bytes]]) -> float:
    """Return the epoch second before which a record must not be judged, 0 when it may be at any time."""
    digits = dict(headers).get(NOT_BEFORE, b"")
    return int(digits) / 1000 if digits.isdigit() else 0.0
