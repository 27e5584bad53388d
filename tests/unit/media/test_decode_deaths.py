import signal

import pytest

from service.core.errors import ModstreamError
from service.media.decode_deaths import Cause, ProcessDiedError, conclusion, death_by
from service.media.errors import DecodeCrashedError, DecodeMemoryError, DecodeOomKilledError, DecoderKilledError

CRASHED, MEMORY, KILLED, OOM_KILLED = Cause.CRASHED, Cause.OUT_OF_MEMORY, Cause.KILLED, Cause.OOM_KILLED


def concluded(*causes: Cause) -> type[ModstreamError] | None:
    error = conclusion([ProcessDiedError(cause, detail="") for cause in causes], memory_bytes=1)
    return type(error) if error else None


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL])
def test_a_fault_s_signal_is_a_crash(number: signal.Signals) -> None:
    assert death_by(-number).cause is CRASHED


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGRTMIN])
def test_any_other_signal_came_from_outside(number: int) -> None:
    assert death_by(-number).cause is KILLED


@pytest.mark.parametrize(("exit_code", "cause"), [(77, MEMORY), (1, CRASHED), (0, CRASHED), (137, CRASHED)])
def test_an_exit_is_the_process_s_own(exit_code: int, cause: Cause) -> None:
    assert death_by(exit_code).cause is cause


@pytest.mark.parametrize("causes", [(CRASHED,), (MEMORY,), (KILLED,), (OOM_KILLED,), (CRASHED, KILLED)])
def test_what_happened_once_is_not_the_files_fault_yet(causes: tuple[Cause, ...]) -> None:
    assert concluded(*causes) is None


def test_two_crashes_are_the_image_s_fault_whatever_lies_between() -> None:
    assert concluded(CRASHED, CRASHED) is concluded(CRASHED, KILLED, CRASHED) is DecodeCrashedError
    assert concluded(CRASHED, MEMORY) is concluded(MEMORY, OOM_KILLED, MEMORY) is DecodeMemoryError


def test_two_kills_say_nothing_about_the_image() -> None:
    assert concluded(KILLED, KILLED) is concluded(KILLED, CRASHED, KILLED) is DecoderKilledError
    assert concluded(OOM_KILLED, KILLED) is concluded(KILLED, OOM_KILLED) is DecoderKilledError


def test_two_strikes_of_the_oom_killer_end_an_image() -> None:
    assert concluded(OOM_KILLED, OOM_KILLED) is concluded(OOM_KILLED, CRASHED, OOM_KILLED) is DecodeOomKilledError


def test_no_image_takes_more_than_three_processes() -> None:
    assert all(concluded(first, second, third) for first in Cause for second in Cause for third in Cause)
