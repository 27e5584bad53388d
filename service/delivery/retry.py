"""Pure: what to do with a record after a failed attempt, and the retry topics in which records wait.

There is a topic for each delay, so that all records in a topic are due in order.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.core.errors import ModstreamError, TransientError
from service.core.headers import ATTEMPT, LAST_MS, NOT_BEFORE, REASON, decimal, to_carry_on
from service.core.records import Headers, OutgoingRecord, SourceRecord
from service.delivery.origin import Origin
from service.settings.delivery import RetrySettings
from service.settings.settings import Settings
from service.settings.types import delay_s

_CLOCK_TOLERANCE_S = 60.0
"""How far the clocks of two processes may differ before a not-before counts as forged."""


@dataclass(frozen=True, slots=True)
class RetryTier:
    """One delay and the retry topic whose records wait for it."""

    delay_s: int
    topic: str


def retry_tiers(settings: Settings) -> tuple[RetryTier, ...]:
    """Return the tiers in the order in which a record goes through them."""
    return tuple(
        RetryTier(delay_s(delay), f"{settings.topics.uploads}.retry.{delay}") for delay in settings.retry.tiers
    )


def next_tier(tiers: Sequence[RetryTier], topic: str) -> RetryTier | None:
    """Return the retry tier after a topic for a record whose attempts are used up; None if there is no further one."""
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


@dataclass(frozen=True, slots=True)
class AttemptAgain:
    """Decision: attempt the record again in this process, after a delay."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class Defer:
    """Decision: publish the record to a retry topic."""

    tier: RetryTier


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Decision: make the record a dead letter."""


Decision = AttemptAgain | Defer | GiveUp


def decide(
    error: ModstreamError,
    attempts_here: int,
    following: RetryTier | None,
    settings: RetrySettings,
    *,
    chance: Callable[[], float],
) -> Decision:
    """Decide after so many failed attempts on a delivery that `following` comes after; `chance` is from 0 to 1.

    A fault that is known to last waits in a retry topic, where there is one, rather than in this process.
    """
    if not isinstance(error, TransientError):
        return GiveUp()
    waits_elsewhere = not error.may_wait_here or (following is not None and error.retry_after_s > 0)
    if attempts_here < settings.max_attempts and not waits_elsewhere:
        return AttemptAgain(_delay_s(error, attempts_here, settings, chance()))
    return Defer(following) if following else GiveUp()


def _delay_s(error: TransientError, attempts: int, settings: RetrySettings, chance: float) -> float:
    """Return the delay before the next attempt: the backoff, or what the error knows if that is longer."""
    # Jitter comes on top: what comes back too early is in vain.
    known_s = min(error.retry_after_s * (1 + settings.jitter * chance), settings.max_backoff_s)
    return max(known_s, backoff_s(attempts, settings, chance))


def backoff_s(attempts: int, settings: RetrySettings, chance: float) -> float:
    """Return the seconds before the next attempt: exponential up to the limit, shortened at random as jitter."""
    # The exponent is bounded so that a high multiplier cannot overflow a float.
    exponential_s = settings.initial_backoff_s * settings.multiplier ** min(attempts - 1, 64)
    return min(exponential_s, settings.max_backoff_s) * (1 - settings.jitter * chance)
