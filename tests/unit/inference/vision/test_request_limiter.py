import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.inference.errors import EngineNotRunningError
from service.inference.vision.request_limiter import RequestLimiter


class Visitor:
    """Someone who stays inside until let out."""

    def __init__(self, gate: RequestLimiter, name: int, deadline_s: float, inside: list[int]) -> None:
        self._leave = asyncio.Event()
        self._gate = gate
        self._inside = inside
        self.name = name
        self.deadline_s = deadline_s
        self.task = asyncio.create_task(self._visit(), name=f"visitor {name}")

    async def _visit(self) -> None:
        async with self._gate.place(deadline_s=self.deadline_s):
            self._inside.append(self.name)
            try:
                await self._leave.wait()
            finally:
                self._inside.remove(self.name)

    def leave(self) -> None:
        self._leave.set()


async def turns(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_who_finds_a_place_goes_in_at_once_and_others_wait() -> None:
    gate, inside = RequestLimiter(2), list[int]()
    visitors = [Visitor(gate, name, 10.0, inside) for name in range(3)]
    await turns()
    assert inside == [0, 1]
    assert (gate.taken, gate.waiting) == (2, 1)
    visitors[1].leave()
    await turns()
    assert inside == [0, 2]
    assert (gate.taken, gate.waiting) == (2, 0)
    for visitor in visitors:
        visitor.leave()
    await asyncio.gather(*(visitor.task for visitor in visitors))


async def test_the_earliest_deadline_goes_first_and_equal_ones_by_arrival() -> None:
    gate, inside, order = RequestLimiter(1), list[int](), []
    visitors = [Visitor(gate, name, deadline, inside) for name, deadline in enumerate([0.0, 9.0, 5.0, 9.0, 1.0])]
    for _ in visitors:
        await turns()
        order += inside
        visitors[inside[0]].leave()
    assert order == [0, 4, 2, 1, 3]
    await asyncio.gather(*(visitor.task for visitor in visitors))


async def test_fresh_work_is_not_starved_by_attempts_of_what_failed() -> None:
    """Each attempt's deadline is a time from its start: what came between two attempts goes before the second."""
    gate, inside = RequestLimiter(1), list[int]()
    holder = Visitor(gate, 0, 0.0, inside)
    await turns()
    retried, fresh = Visitor(gate, 1, 60.2, inside), Visitor(gate, 2, 60.1, inside)
    await turns()
    holder.leave()
    await turns()
    assert inside == [2]
    for visitor in (fresh, retried):
        visitor.leave()
    await asyncio.gather(fresh.task, retried.task)


async def test_a_place_that_comes_with_a_cancellation_is_passed_on() -> None:
    gate, inside = RequestLimiter(1), list[int]()
    async with gate.place(deadline_s=0.0):
        cancelled, next_one = (Visitor(gate, name, float(name), inside) for name in (1, 2))
        await turns()
    # The place is the first one's by now, but it has not woken up.
    cancelled.task.cancel()
    await turns()
    assert inside == [2]
    next_one.leave()
    await next_one.task


async def test_a_place_is_freed_by_a_request_that_fails() -> None:
    gate = RequestLimiter(1)
    with pytest.raises(ValueError, match="inside"):
        async with gate.place(deadline_s=1.0):
            raise ValueError("inside")
    async with asyncio.timeout(1), gate.place(deadline_s=1.0):
        pass


async def test_closing_refuses_waiting_and_later_requests() -> None:
    gate, inside = RequestLimiter(1), list[int]()
    visitors = [Visitor(gate, name, 1.0, inside) for name in range(3)]
    await turns()
    gate.close()
    visitors[0].leave()
    ends = await asyncio.gather(*(visitor.task for visitor in visitors), return_exceptions=True)
    assert [type(end) for end in ends] == [type(None), EngineNotRunningError, EngineNotRunningError]
    with pytest.raises(EngineNotRunningError):
        async with gate.place(deadline_s=1.0):
            pass


class Model:
    """The gate as one would write it without a thought for speed."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.inside: set[int] = set()
        self.waiting: list[tuple[float, int]] = []

    def settle(self) -> None:
        while self.waiting and len(self.inside) < self.places:
            self.waiting.sort()
            self.inside.add(self.waiting.pop(0)[1])


STEPS = st.lists(st.tuples(st.sampled_from(["come", "come", "leave", "cancel"]), st.integers(0, 5)), max_size=60)


@settings(deadline=None, max_examples=150)
@given(places=st.integers(1, 4), steps=STEPS, seed=st.integers(0, 1000))
def test_the_gate_does_what_a_plain_model_does(places: int, steps: list[tuple[str, int]], seed: int) -> None:
    asyncio.run(_compare(places, steps, random.Random(seed)))


async def _compare(places: int, steps: list[tuple[str, int]], chance: random.Random) -> None:
    gate, inside, model = RequestLimiter(places), list[int](), Model(places)
    visitors: dict[int, Visitor] = {}
    for number, (step, deadline) in enumerate(steps):
        if step == "come":
            visitors[number] = Visitor(gate, number, float(deadline), inside)
            model.waiting.append((float(deadline), number))
        elif visitors:
            name = chance.choice(sorted(visitors))
            _end(visitors.pop(name), model, step=step)
        await turns()
        model.settle()
        assert set(inside) == model.inside
    for visitor in visitors.values():
        visitor.task.cancel()
    await turns()
    assert inside == []


def _end(visitor: Visitor, model: Model, *, step: str) -> None:
    """Let one leave, or take one away wherever it is; who waits and is let out goes through at once."""
    is_inside = visitor.name in model.inside
    if step == "cancel" or not is_inside:
        visitor.task.cancel()
    else:
        visitor.leave()
    model.inside.discard(visitor.name)
    model.waiting = [each for each in model.waiting if each[1] != visitor.name]
