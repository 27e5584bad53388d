import asyncio
from collections import Counter

import pytest

from service.core.fair_queue import FairTurns, Side


async def hold(turns: FairTurns, side: Side, served: list[Side]) -> None:
    await turns.acquire("someone", side)
    served.append(side)
    await asyncio.sleep(0)
    turns.release(side)


async def served_first(count: int, number: int, *, api_share: float) -> Counter[Side]:
    """Let a hundred of each side wait, and return which sides were served among the first."""
    turns, served = FairTurns(count, api_share=api_share), list[Side]()
    async with asyncio.TaskGroup() as group:
        for side in ("api", "stream"):
            for _ in range(100):
                group.create_task(hold(turns, side, served))
    return Counter(served[:number])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 16])
@pytest.mark.parametrize("api_share", [0.1, 0.25, 0.5])
async def test_while_both_sides_wait_each_is_served_by_its_share(count: int, api_share: float) -> None:
    served = await served_first(count, 100, api_share=api_share)

    assert served["api"] == pytest.approx(100 * api_share, abs=count + 1)


async def test_a_side_that_waits_alone_is_served_with_all_turns() -> None:
    turns, served = FairTurns(4, api_share=0.25), list[Side]()

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(hold(turns, "api", served))

    assert served == ["api"] * 20


async def test_a_side_that_was_idle_has_no_claim_on_the_turns_that_it_did_not_want() -> None:
    turns, served = FairTurns(1, api_share=0.5), list[Side]()
    for _ in range(50):
        await hold(turns, "api", served)
    served.clear()

    async with asyncio.TaskGroup() as group:
        for side in ("stream", "api"):
            for _ in range(20):
                group.create_task(hold(turns, side, served))

    assert Counter(served[:20])["api"] == pytest.approx(10, abs=1)


async def test_turns_of_cancelled_tasks_go_to_the_next_one() -> None:
    turns, served = FairTurns(1), list[Side]()
    await turns.acquire("first")
    tasks = [asyncio.create_task(hold(turns, side, served)) for side in ("api", "stream", "api")]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[1].cancel()

    turns.release()
    await asyncio.wait(tasks)

    assert served == ["api"]
    assert turns.try_acquire()


async def test_a_side_that_comes_while_all_turns_are_taken_has_no_claim_on_earlier_ones_either() -> None:
    turns, served = FairTurns(1, api_share=0.5), list[Side]()
    for _ in range(50):
        await hold(turns, "api", served)
    served.clear()
    await turns.acquire("someone", "api")

    async with asyncio.TaskGroup() as group:
        for side in ("stream", "api"):
            for _ in range(20):
                group.create_task(hold(turns, side, served))
        await asyncio.sleep(0)
        turns.release("api")

    assert Counter(served[:20])["api"] == pytest.approx(10, abs=1)
