"""Clients have limited time, and the service's own pauses do not count."""

from service.api.connections.patience import Patience, UnsentAnswer


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_a_deadline_passes_without_what_is_expected() -> None:
    clock = Clock()
    patience = Patience(clock)
    patience.expect(10)
    clock.now_s = 10
    assert not patience.is_over()
    clock.now_s = 10.1
    assert patience.is_over()
    patience.forget()
    assert not patience.is_over()


def test_the_pace_is_measured_anew_in_each_window() -> None:
    clock = Clock()
    patience = Patience(clock)
    patience.expect(1000, min_bytes_per_s=100, window_s=5)
    patience.count(10_000)
    clock.now_s = 5
    assert not patience.is_over()
    patience.count(499)
    clock.now_s = 9.9
    assert not patience.is_over()
    clock.now_s = 10
    assert patience.is_over()


def test_time_in_which_the_client_is_held_back_does_not_count() -> None:
    clock = Clock()
    patience = Patience(clock)
    patience.expect(10, min_bytes_per_s=100, window_s=5)
    clock.now_s = 4
    patience.pause()
    clock.now_s = 100
    assert not patience.is_over()
    patience.pause()
    patience.resume()
    assert not patience.is_over()
    patience.count(500)
    clock.now_s = 101
    assert not patience.is_over()
    clock.now_s = 106.1
    assert patience.is_over()


def test_what_is_expected_during_a_pause_has_its_whole_time_after_it() -> None:
    clock = Clock()
    patience = Patience(clock)
    patience.pause()
    clock.now_s = 100
    patience.expect(10)
    clock.now_s = 200
    patience.resume()
    clock.now_s = 209
    assert not patience.is_over()
    clock.now_s = 211
    assert patience.is_over()


def test_an_answer_that_leaves_too_slowly_is_stuck() -> None:
    clock = Clock()
    unsent = UnsentAnswer(100, 30, clock)
    assert not unsent.is_stuck(10_000)
    clock.now_s = 29
    assert not unsent.is_stuck(10_000)
    clock.now_s = 30
    assert not unsent.is_stuck(7_000)
    clock.now_s = 60
    assert unsent.is_stuck(4_001)


def test_an_answer_that_is_sent_does_not_count_for_the_next_one() -> None:
    clock = Clock()
    unsent = UnsentAnswer(100, 30, clock)
    assert not unsent.is_stuck(10_000)
    clock.now_s = 29
    assert not unsent.is_stuck(0)
    clock.now_s = 31
    assert not unsent.is_stuck(10_000)
    clock.now_s = 60
    assert not unsent.is_stuck(10_000)
    clock.now_s = 61
    assert unsent.is_stuck(10_000)
