"""Parsing takes its share of the loop's time, in turns."""

import asyncio

import pytest

from service.http.parsing_budget import BURST_S, SHARE, ParsingBudget
from testing.waiting import wait_until


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Connection:
    """Parses pieces that take a while."""

    def __init__(self, budget: ParsingBudget, clock: Clock, *, pieces: int) -> None:
        self._budget = budget
        self._clock = clock
        self.left = pieces
        self.order: list[Connection] = []

    def advance(self) -> None:
        assert self._budget.is_open()
        self._clock.now_s += 0.001
        self._budget.charge(0.001)
        self.left -= 1
        self.order.append(self)
        if self.left:
            self._budget.wait(self)


def work(budget: ParsingBudget, clock: Clock, seconds: float) -> bool:
    if not budget.is_open():
        return False
    clock.now_s += seconds
    budget.charge(seconds)
    return True


async def test_work_within_the_burst_never_waits() -> None:
    clock = Clock()
    budget = ParsingBudget(clock=clock)
    assert work(budget, clock, BURST_S * 0.9)
    assert work(budget, clock, BURST_S * 0.9)


async def test_in_the_long_run_no_more_than_the_share_is_spent() -> None:
    clock = Clock()
    budget = ParsingBudget(clock=clock)
    spent_s = 0.0
    while clock.now_s < 110:
        if work(budget, clock, 0.001):
            spent_s += 0.001
        else:
            clock.now_s += 0.001
        await asyncio.sleep(0)
    assert 0.9 * SHARE < spent_s / 10 < 1.1 * SHARE


async def test_a_turn_of_the_loop_takes_the_burst_at_most_however_long_other_processes_make_it() -> None:
    clock = Clock()
    budget = ParsingBudget(clock=clock)
    spent_s = 0.0
    for _ in range(100):
        spent_s += 0.001 if work(budget, clock, 0.001) else 0
        clock.now_s += 1
    assert spent_s == pytest.approx(BURST_S)
    await asyncio.sleep(0)
    assert budget.is_open()


async def test_newcomers_do_not_go_before_those_that_wait() -> None:
    clock = Clock()
    budget = ParsingBudget(clock=clock)
    budget.charge(BURST_S)
    patient = Connection(budget, clock, pieces=1)
    budget.wait(patient)
    jumped = 0

    def done() -> bool:
        nonlocal jumped
        clock.now_s += 0.001
        jumped += bool(patient.left) and work(budget, clock, 0.001)
        return not patient.left

    await wait_until(done, description="the one that waits has its turn")
    assert jumped == 0
    await asyncio.sleep(0)
    assert budget.is_open()


class Broken:
    """Fails in its turn."""

    def advance(self) -> None:
        raise ValueError("a defect")


async def test_a_connection_that_raises_does_not_stop_those_after_it() -> None:
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context["exception"]))
    clock = Clock()
    budget = ParsingBudget(clock=clock)
    well = Connection(budget, clock, pieces=1)
    budget.wait(Broken())
    budget.wait(well)
    await wait_until(lambda: not well.left, description="the other connection has its turn")
    assert len(failures) == 1


async def test_those_that_wait_advance_in_turn() -> None:
    clock = Clock()
    budget = ParsingBudget(clock=clock)
    budget.charge(BURST_S)
    greedy, modest = (Connection(budget, clock, pieces=pieces) for pieces in (50, 1))
    modest.order = greedy.order
    budget.wait(greedy)
    budget.wait(modest)

    def done() -> bool:
        clock.now_s += 0.001
        return not greedy.left

    await asyncio.wait_for(wait_until(done, description="all pieces are parsed"), timeout=20)
    assert greedy.order.index(modest) == 1


async def test_the_share_can_be_the_whole_time() -> None:
    clock = Clock()
    budget = ParsingBudget(share=1.0, clock=clock)
    assert work(budget, clock, 10 * BURST_S)
    await asyncio.sleep(0)
    clock.now_s += 0.001
    assert budget.is_open()


async def test_a_coroutine_waits_for_its_turn() -> None:
    budget = ParsingBudget()
    await budget.turn()
    budget.charge(2 * BURST_S)
    waiting = asyncio.create_task(budget.turn())
    await asyncio.sleep(0)
    assert not waiting.done()
    await waiting
