from service.inference.first_pass.pause import FAILURES, MAX_PAUSE_S, PAUSE_S, Pause


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def failing(clock: Clock, failures: int) -> Pause:
    pause = Pause(clock=clock)
    for _ in range(failures):
        pause.failed()
    return pause


def test_a_few_failures_bring_no_pause() -> None:
    assert not failing(Clock(), FAILURES - 1).is_on


def test_failures_in_a_row_bring_a_pause_that_ends() -> None:
    clock = Clock()
    pause = failing(clock, FAILURES)
    assert pause.is_on
    clock.now_s += PAUSE_S
    assert not pause.is_on


def test_an_answer_between_failures_counts_them_anew() -> None:
    pause = failing(Clock(), FAILURES - 1)
    pause.worked()
    pause.failed()
    assert not pause.is_on


def test_each_failure_after_a_pause_doubles_the_next_one_within_bounds() -> None:
    clock = Clock()
    pause = failing(clock, FAILURES)
    lengths = []
    for _ in range(5):
        began_s = clock.now_s
        while pause.is_on:
            clock.now_s += 1
        lengths.append(clock.now_s - began_s)
        pause.failed()
    assert lengths == [PAUSE_S, 20, 40, MAX_PAUSE_S, MAX_PAUSE_S]


def test_requests_that_fail_during_a_pause_do_not_make_it_longer() -> None:
    clock = Clock()
    pause = failing(clock, FAILURES + 100)
    clock.now_s += PAUSE_S
    assert not pause.is_on
