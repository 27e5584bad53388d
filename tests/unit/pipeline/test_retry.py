"""What becomes of a failed attempt."""

from hypothesis import given
from hypothesis import strategies as st

from service.errors import RejectedError, TransientError
from service.pipeline.retry import AttemptAgain, GiveUp, backoff_s, decide
from service.settings import RetrySettings

SETTINGS = RetrySettings(max_attempts=3, initial_backoff_s=1.0, multiplier=2.0, max_backoff_s=3.0, jitter=0.5)


class BusyError(TransientError):
    reason = "test.busy"
    message = "busy"


class WrongError(RejectedError):
    reason = "test.wrong"
    message = "wrong"


def test_a_transient_fault_is_attempted_again_until_the_attempts_are_used_up() -> None:
    decisions = [decide(BusyError(), attempts_here=n, settings=SETTINGS, random=lambda: 0.0) for n in (1, 2, 3)]
    assert decisions == [AttemptAgain(1.0), AttemptAgain(2.0), GiveUp()]


def test_a_rejected_record_is_given_up_at_once() -> None:
    assert decide(WrongError(), attempts_here=1, settings=SETTINGS, random=lambda: 0.0) == GiveUp()


@given(attempts=st.integers(min_value=1, max_value=10_000), chance=st.floats(min_value=0, max_value=1))
def test_a_delay_stays_between_its_jitter_and_its_limit(attempts: int, chance: float) -> None:
    delay_s = backoff_s(attempts, SETTINGS, chance)
    assert 0.5 <= delay_s <= 3.0


def test_jitter_spreads_delays_over_its_share() -> None:
    assert backoff_s(1, SETTINGS, 0.0) == 1.0
    assert backoff_s(1, SETTINGS, 1.0) == 0.5
