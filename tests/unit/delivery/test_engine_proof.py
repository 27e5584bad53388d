"""An engine that dies of everything: no record is given up for that, and one that it alone dies of still is."""

import asyncio

import pytest

from service.core.errors import EngineDeadError, EnginePoisonError
from testing.mark_store import MemoryStore
from testing.waiting import wait_until
from tests.unit.delivery.test_engine_suspects import engine_dies, process


async def ends_in_its_probe(store: MemoryStore, offset: int) -> None:
    """Let a process whose engine dies of everything meet a record with a death."""

    async def probe() -> None:
        raise EngineDeadError(detail="of the service's own image")

    async with process(store) as doomed:
        doomed.suspects.proof.probe_with(probe)
        doomed.judge(offset)
        (task,) = doomed.tasks.values()
        with pytest.raises(EngineDeadError):
            await asyncio.wait_for(task, 5)
        doomed.suspects.note_death()
        await doomed.suspects.close()


async def test_an_engine_that_dies_of_everything_gives_nothing_up_however_often_it_is_started() -> None:
    store = MemoryStore()
    await engine_dies(store, 3, 4)
    await engine_dies(store, 3, alone=3)
    for _ in range(4):
        await ends_in_its_probe(store, 3)
    async with process(store) as heir:
        heir.judge(3)
        await heir.until_inside(3)
        await heir.finish()
        await heir.tasks[3]


async def test_the_last_record_of_all_is_given_up_once_the_engine_is_shown_to_work() -> None:
    store = MemoryStore()
    probes = []

    async def probe() -> None:
        probes.append(1)

    await engine_dies(store, 3)
    await engine_dies(store, 3, alone=3)
    async with process(store) as doomed:
        doomed.suspects.proof.probe_with(probe)
        doomed.judge(3)
        await doomed.until_inside(3)
        assert probes == [1]
        doomed.suspects.note_death()
        doomed.tasks[3].cancel()
        await asyncio.gather(*doomed.tasks.values(), return_exceptions=True)
        await doomed.suspects.close()
    async with process(store) as heir:
        heir.judge(3)
        with pytest.raises(EnginePoisonError):
            await asyncio.wait_for(heir.tasks[3], 5)


async def test_a_probe_that_fails_is_repeated_until_something_is_judged() -> None:
    store = MemoryStore()
    await engine_dies(store, 3, 4)
    await engine_dies(store, 3, alone=3)
    probes = []

    async def probe() -> None:
        probes.append(1)
        raise TimeoutError

    async with process(store) as heir:
        heir.suspects.proof.probe_with(probe)
        heir.judge(3)
        await wait_until(lambda: len(probes) > 2, description="the engine is probed again and again")
        assert not heir.inside
        heir.judge(4)
        await heir.finish()
        await heir.tasks[3]
