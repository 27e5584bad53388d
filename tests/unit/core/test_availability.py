"""Time limits that stand still while an engine is away."""

import asyncio

import pytest

from service.core.availability import EngineAvailability, RequestClock

LIMIT_S = 0.05


async def limited(availability: EngineAvailability, work: asyncio.Event) -> bool:
    """Return whether the work was done in time."""
    try:
        async with asyncio.timeout(LIMIT_S) as timeout:
            with availability.clock(timeout, LIMIT_S):
                await work.wait()
    except TimeoutError:
        return False
    return True


async def test_a_clock_runs_while_the_engine_is_there() -> None:
    assert not await limited(EngineAvailability(), asyncio.Event())


@pytest.mark.parametrize("away_from_the_start", [True, False])
async def test_a_clock_stands_still_while_the_engine_is_away_and_begins_anew_after_that(
    away_from_the_start: bool,
) -> None:
    availability, work = EngineAvailability(), asyncio.Event()
    if away_from_the_start:
        availability.lose("a test wants it")
    request = asyncio.create_task(limited(availability, work))
    await asyncio.sleep(0)
    availability.lose("a test wants it")
    await asyncio.sleep(3 * LIMIT_S)
    assert not request.done()
    availability.regain()
    await asyncio.sleep(0)
    work.set()
    assert await request


async def test_a_clock_runs_again_once_the_engine_is_back() -> None:
    availability = EngineAvailability()
    availability.lose("a test wants it")
    request = asyncio.create_task(limited(availability, asyncio.Event()))
    await asyncio.sleep(0)
    availability.regain()
    assert not await asyncio.wait_for(request, 5)


async def test_a_clock_that_is_stopped_twice_stands_still_until_both_are_over() -> None:
    async with asyncio.timeout(LIMIT_S) as timeout:
        clock = RequestClock(timeout, LIMIT_S)
        with clock.stopped():
            with clock.stopped():
                await asyncio.sleep(0)
                assert timeout.when() is None
            assert timeout.when() is None
        assert timeout.when() is not None


async def test_a_clock_without_a_limit_can_be_stopped() -> None:
    with RequestClock().stopped():
        pass


async def test_who_waits_for_the_engine_goes_on_when_it_is_back() -> None:
    availability = EngineAvailability()
    availability.lose("a test wants it")
    waiting = asyncio.create_task(availability.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    availability.regain()
    await asyncio.wait_for(waiting, 5)


async def test_no_clock_outlives_its_request() -> None:
    availability = EngineAvailability()
    await limited(availability, asyncio.Event())
    assert availability._clocks == set()
