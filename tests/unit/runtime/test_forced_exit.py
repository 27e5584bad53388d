import pytest

from service.cli.exits import ExitCode
from service.core.errors import EXIT_FATAL, EngineDeadError, FatalError
from service.runtime.forced_exit import FailureRelay
from testing.waiting import wait_until

DEATH = EngineDeadError(detail="gone")
NEVER_S = 3600.0


def test_a_failure_is_passed_on_once() -> None:
    failure_relay, heard = FailureRelay(grace_s=NEVER_S), list[FatalError]()
    failure_relay.connect(heard.append)
    failure_relay.report(DEATH)
    failure_relay.report(EngineDeadError(detail="still gone"))
    assert heard == [DEATH]


def test_a_failure_before_anyone_listens_is_not_lost() -> None:
    failure_relay, heard = FailureRelay(grace_s=NEVER_S), list[FatalError]()
    failure_relay.report(DEATH)
    failure_relay.connect(heard.append)
    assert heard == [DEATH]


@pytest.mark.parametrize("listens", [True, False])
async def test_an_end_that_takes_too_long_is_forced(listens: bool) -> None:
    codes = list[int]()
    failure_relay = FailureRelay(grace_s=0.05, exit_now=codes.append)
    if listens:
        failure_relay.connect(lambda error: None)
    failure_relay.report(DEATH)
    await wait_until(lambda: codes == [3], description="the process would have ended")


async def test_the_exit_code_is_that_of_a_fatal_fault() -> None:
    assert EXIT_FATAL == ExitCode.FATAL
