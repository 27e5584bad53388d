import asyncio
from collections.abc import AsyncIterator

import pytest

from service.core.errors import EngineDeadError, FatalError
from service.inference.errors import EngineNotRunningError
from service.inference.vllm.watchdog import Watchdog
from testing.waiting import wait_until


class Model:
    """A model that hangs or dies when a test wants it to."""

    def __init__(self, *, stall_s: float) -> None:
        self.is_dead = False
        self.failures: list[FatalError] = []
        self.watchdog = Watchdog(stall_s=stall_s, is_dead=lambda: self.is_dead, on_failure=self.failures.append)

    async def ask(self, answer: asyncio.Event) -> str:
        async with self.watchdog.watched():
            await answer.wait()
            self.watchdog.answered()
            return "answer"


@pytest.fixture
async def hasty() -> AsyncIterator[Model]:
    """Stalls after a tenth of a second."""
    model = Model(stall_s=0.1)
    watch = asyncio.create_task(model.watchdog.watch(), name="watch")
    yield model
    watch.cancel()


@pytest.fixture
async def patient() -> AsyncIterator[Model]:
    model = Model(stall_s=1.0)
    watch = asyncio.create_task(model.watchdog.watch(), name="watch")
    yield model
    watch.cancel()


async def test_a_stall_ends_every_request_in_flight_and_is_reported_once(hasty: Model) -> None:
    asked = [asyncio.create_task(hasty.ask(asyncio.Event()), name="ask") for _ in range(3)]
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(end) for end in ends] == [EngineDeadError] * 3
    assert [str(failure) for failure in hasty.failures] == [
        "The engine died: requests wait, and it has answered none for 0.1 s (engine.stall_s)"
    ]


async def test_a_death_is_noticed_without_requests(patient: Model) -> None:
    patient.is_dead = True
    await wait_until(lambda: bool(patient.failures), description="the death is reported")
    assert isinstance(patient.failures[0], EngineDeadError)


async def test_after_a_failure_requests_are_refused(patient: Model) -> None:
    patient.watchdog.fail(EngineDeadError(detail="gone"))
    with pytest.raises(EngineDeadError, match="gone"):
        await patient.ask(asyncio.Event())
    assert len(patient.failures) == 1


async def test_answers_keep_a_busy_model_alive(hasty: Model) -> None:
    waiting = asyncio.create_task(hasty.ask(asyncio.Event()), name="slow")
    now = asyncio.Event()
    now.set()
    async with asyncio.timeout(5.0):
        for _ in range(20):
            await asyncio.sleep(0.02)
            assert await hasty.ask(now) == "answer"
    assert not waiting.done()
    waiting.cancel()


async def test_an_expected_end_is_not_reported(patient: Model) -> None:
    asked = asyncio.create_task(patient.ask(asyncio.Event()), name="ask")
    await asyncio.sleep(0)
    patient.watchdog.close(EngineNotRunningError())
    with pytest.raises(EngineNotRunningError):
        await asked
    assert patient.failures == []


async def test_a_cancelled_request_stays_cancelled(patient: Model) -> None:
    asked = asyncio.create_task(patient.ask(asyncio.Event()), name="ask")
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_a_request_that_times_out_itself_says_so(patient: Model) -> None:
    async def impatient() -> None:
        async with patient.watchdog.watched():
            raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        await impatient()


async def test_it_is_idle_once_the_last_request_has_ended(patient: Model) -> None:
    await patient.watchdog.wait_until_idle()
    asked = [asyncio.create_task(patient.ask(asyncio.Event()), name="ask") for _ in range(2)]
    await asyncio.sleep(0)
    idle = asyncio.create_task(patient.watchdog.wait_until_idle(), name="idle")
    asked[0].cancel()
    await asyncio.wait([asked[0]])
    await asyncio.sleep(0)
    assert not idle.done()
    patient.watchdog.close(EngineNotRunningError())
    async with asyncio.timeout(5.0):
        await idle
    await asyncio.wait(asked)
    assert isinstance(asked[1].exception(), EngineNotRunningError)


async def test_a_request_that_may_be_silent_ends_with_the_engine_and_is_no_sign_of_its_end(hasty: Model) -> None:
    async def wait() -> None:
        async with hasty.watchdog.watched(may_be_silent=True):
            await asyncio.Event().wait()

    silent = asyncio.create_task(wait(), name="silent")
    await asyncio.sleep(0.3)  # three times what a stall takes
    assert hasty.failures == []
    hasty.is_dead = True
    with pytest.raises(EngineDeadError):
        await silent
