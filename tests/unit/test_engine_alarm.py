import pytest

from service.cli.exits import ExitCode
from service.engine_alarm import EngineAlarm
from service.errors import EXIT_FATAL, FatalError
from service.inference.errors import EngineDeadError
from tests.support.waiting import wait_until

DEATH = EngineDeadError(detail="gone")
NEVER_S = 3600.0


def test_a_failure_is_passed_on_once() -> None:
    alarm, heard = EngineAlarm(grace_s=NEVER_S), list[FatalError]()
    alarm.connect(heard.append)
    alarm.ring(DEATH)
    alarm.ring(EngineDeadError(detail="still gone"))
    assert heard == [DEATH]


def test_a_failure_before_anyone_listens_is_not_lost() -> None:
    alarm, heard = EngineAlarm(grace_s=NEVER_S), list[FatalError]()
    alarm.ring(DEATH)
    alarm.connect(heard.append)
    assert heard == [DEATH]


@pytest.mark.parametrize("listens", [True, False])
async def test_an_end_that_takes_too_long_is_forced(listens: bool) -> None:
    codes = list[int]()
    alarm = EngineAlarm(grace_s=0.05, exit_now=codes.append)
    if listens:
        alarm.connect(lambda error: None)
    alarm.ring(DEATH)
    await wait_until(lambda: codes == [3], description="the process would have ended")


async def test_the_exit_code_is_that_of_a_fatal_fault() -> None:
    assert EXIT_FATAL == ExitCode.FATAL
