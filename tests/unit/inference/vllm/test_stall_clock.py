from service.inference.vllm.watchdog import StallClock


def clock() -> StallClock:
    return StallClock(limit_s=10.0, longest_step_s=3.0)


def pass_time(clock: StallClock, start_s: float, seconds: int) -> None:
    for second in range(seconds + 1):
        clock.advance(start_s + second)


def test_a_model_that_answers_nothing_has_stalled() -> None:
    silent = clock()
    silent.begin()
    pass_time(silent, 0.0, 9)
    assert not silent.is_stalled
    silent.advance(10.0)
    assert silent.is_stalled


def test_an_answer_shows_that_it_lives() -> None:
    busy = clock()
    busy.begin()
    busy.begin()
    pass_time(busy, 0.0, 9)
    busy.answered()
    busy.end()
    pass_time(busy, 9.0, 9)
    assert not busy.is_stalled


def test_a_model_without_work_does_not_stall() -> None:
    idle = clock()
    pass_time(idle, 0.0, 60)
    idle.begin()
    idle.advance(60.5)
    assert not idle.is_stalled


def test_requests_that_give_up_and_come_anew_do_not_hide_a_stall() -> None:
    silent = clock()
    for attempt in range(3):
        silent.begin()
        pass_time(silent, 5.0 * attempt, 4)
        silent.end()
    silent.begin()
    assert silent.is_stalled


def test_a_suspended_process_was_not_waiting() -> None:
    suspended = clock()
    suspended.begin()
    suspended.advance(0.0)
    suspended.advance(600.0)
    assert not suspended.is_stalled
    assert suspended.silent_s == 3.0
