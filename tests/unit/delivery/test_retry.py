"""What becomes of a failed attempt."""

from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import ModstreamError, RejectedError, TransientError
from service.delivery.retry import AttemptAgain, Decision, Defer, GiveUp, RetryTier, backoff_s, decide
from service.media.errors import FetchFailedError, HostCircuitOpenError
from service.settings.delivery import RetrySettings

SETTINGS = RetrySettings(max_attempts=3, initial_backoff_s=1.0, multiplier=2.0, max_backoff_s=3.0, jitter=0.5)
TIER = RetryTier(30, "images.uploaded.retry.30s")


class BusyError(TransientError):
    reason = "test.busy"
    message = "busy"


class WrongError(RejectedError):
    reason = "test.wrong"
    message = "wrong"


def decisions(error: ModstreamError, following: RetryTier | None) -> list[Decision]:
    """Return what is decided after one, two and three attempts."""
    return [decide(error, attempts, following, SETTINGS, chance=lambda: 0.0) for attempts in (1, 2, 3)]


def test_a_transient_fault_is_attempted_again_until_the_attempts_are_used_up() -> None:
    assert decisions(BusyError(), None) == [AttemptAgain(1.0), AttemptAgain(2.0), GiveUp()]


def test_a_transient_fault_that_lasts_is_put_off() -> None:
    assert decisions(BusyError(), TIER) == [AttemptAgain(1.0), AttemptAgain(2.0), Defer(TIER)]


def host_down(*, retry_in_s: float, is_crowded: bool = False) -> ModstreamError:
    facts = {"host": "a.example", "failures": 5, "last_failure": "fetch.timeout"}
    return HostCircuitOpenError(**facts, retry_in_s=retry_in_s, is_crowded=is_crowded)


def test_a_fault_that_is_known_to_last_is_waited_for_within_the_limit() -> None:
    assert decisions(host_down(retry_in_s=2.5), None) == [AttemptAgain(2.5), AttemptAgain(2.5), GiveUp()]
    assert decisions(host_down(retry_in_s=60.0), None) == [AttemptAgain(3.0), AttemptAgain(3.0), GiveUp()]


def test_a_server_that_says_when_to_come_back_is_left_alone_until_then() -> None:
    busy = FetchFailedError(detail="a.example answered 429", retry_after_s=2.5)
    assert decisions(busy, None) == [AttemptAgain(2.5), AttemptAgain(2.5), GiveUp()]
    assert decisions(busy, TIER) == [Defer(TIER)] * 3


def test_what_waits_for_a_known_time_comes_back_after_it_and_spread_over_its_jitter() -> None:
    assert decide(host_down(retry_in_s=1.0), 1, None, SETTINGS, chance=lambda: 1.0) == AttemptAgain(1.5)


def test_a_fault_that_is_known_to_last_is_put_off_at_once_where_there_is_a_tier() -> None:
    assert decisions(host_down(retry_in_s=2.5), TIER) == [Defer(TIER)] * 3


def test_a_record_that_finds_too_many_waiting_before_it_is_given_up_at_once() -> None:
    assert decisions(host_down(retry_in_s=2.5, is_crowded=True), None) == [GiveUp()] * 3


def test_a_rejected_record_is_given_up_at_once() -> None:
    assert decisions(WrongError(), TIER) == [GiveUp()] * 3


@given(attempts=st.integers(min_value=1, max_value=10_000), chance=st.floats(min_value=0, max_value=1))
def test_a_delay_stays_between_its_jitter_and_its_limit(attempts: int, chance: float) -> None:
    delay_s = backoff_s(attempts, SETTINGS, chance)
    assert 0.5 <= delay_s <= 3.0


def test_jitter_spreads_delays_over_its_share() -> None:
    assert backoff_s(1, SETTINGS, 0.0) == 1.0
    assert backoff_s(1, SETTINGS, 1.0) == 0.5
