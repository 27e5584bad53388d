"""Pure: an error and the attempts made → what to do with the record."""

from collections.abc import Callable
from dataclasses import dataclass

from service.core.errors import ModstreamError, TransientError
from service.delivery.retry_topics import RetryTier
from service.settings.delivery import RetrySettings


@dataclass(frozen=True, slots=True)
class AttemptAgain:
    """Attempt again in this process."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class Defer:
    """Publish it to a retry topic."""

    tier: RetryTier


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Make it a dead letter."""


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
    """Return the delay after so many attempts: exponential up to the limit, shortened by chance as jitter."""
    # The exponent is bounded so that a high multiplier cannot overflow a float.
    exponential_s = settings.initial_backoff_s * settings.multiplier ** min(attempts - 1, 64)
    return min(exponential_s, settings.max_backoff_s) * (1 - settings.jitter * chance)
