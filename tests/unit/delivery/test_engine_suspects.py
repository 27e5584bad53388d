"""Records that an engine may die of, over the processes that it takes with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from service.core.errors import EngineDeadError, EnginePoisonError
from service.core.records import Partition
from service.delivery.engine_suspects import EngineSuspects
from service.delivery.offsets import Progress
from testing.mark_store import MemoryStore
from testing.memory_stream import TOPIC, record
from testing.waiting import wait_until

PLACE = Partition(TOPIC, 0)
OTHER = Partition(TOPIC, 1)
NOTHING_DONE = Progress(0)


class Process:
    """One process with its engine, which can end in every way."""

    def __init__(self, store: MemoryStore, *, proof_s: float = 0.02) -> None:
        self.suspects = EngineSuspects(store, settle_s=0.02, proof_s=proof_s)
        self.inside: set[int] = set()
        self.company: dict[int, int] = {}
        """By offset, how many others were in the engine at the same time."""
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.go_on = asyncio.Event()

    def judge(self, *offsets: int, partition: int = 0) -> None:
        """Begin to judge records."""
        for offset in offsets:
            self.tasks[offset] = asyncio.create_task(self._judge(offset, partition))

    async def _judge(self, offset: int, partition: int) -> None:
        async with self.suspects.inside(record(offset, partition=partition)):
            self.company[offset] = len(self.inside)
            self.inside.add(offset)
            try:
                await self.go_on.wait()
                await asyncio.sleep(0)
            finally:
                self.inside.discard(offset)

    async def until_inside(self, *offsets: int) -> None:
        """Wait until exactly these are in the engine."""
        await wait_until(lambda: self.inside == set(offsets), description=f"{offsets} are inside", every_s=0.001)

    async def finish(self) -> None:
        """Let all be judged."""
        self.go_on.set()
        await asyncio.wait_for(asyncio.gather(*self.tasks.values(), return_exceptions=True), 5)


@asynccontextmanager
async def process(store: MemoryStore, *, progress: Progress = NOTHING_DONE) -> AsyncIterator[Process]:
    """Begin a process with one partition; at the end it vanishes without a word unless it was closed."""
    running = Process(store)
    running.suspects.opened(PLACE, progress)
    yield running
    for task in [*running.tasks.values(), *running.suspects._tasks]:
        task.cancel()
    await asyncio.gather(*running.tasks.values(), return_exceptions=True)


async def engine_dies(store: MemoryStore, *offsets: int, alone: int | None = None) -> None:
    """Let a process judge records until its engine dies, and end it as the service does then."""
    async with process(store) as doomed:
        doomed.judge(*offsets)
        await doomed.until_inside(*([alone] if alone is not None else offsets))
        doomed.suspects.note_death()
        for task in doomed.tasks.values():
            task.cancel()
        await asyncio.gather(*doomed.tasks.values(), return_exceptions=True)
        await doomed.suspects.close()


async def vanishes(store: MemoryStore, *offsets: int, alone: int | None = None) -> None:
    """Let a process judge records, and end it as the kernel does."""
    async with process(store) as doomed:
        doomed.judge(*offsets)
        await doomed.until_inside(*([alone] if alone is not None else offsets))
        before = dict(store.texts)
    store.texts = before


async def test_records_are_judged_side_by_side_and_nothing_is_written_for_any() -> None:
    store = MemoryStore()
    async with process(store) as quiet:
        quiet.judge(0)
        await quiet.until_inside(0)
        writes = store.writes
        quiet.judge(*range(1, 50))
        await quiet.until_inside(*range(50))
        await quiet.finish()
        await quiet.suspects.close()
    assert writes == 1
    assert store.writes == 2, "once when the partition was opened and once at the end"
    assert store.texts == {PLACE: ""}


async def test_what_was_in_the_engine_when_it_died_is_judged_alone_and_all_else_side_by_side() -> None:
    store = MemoryStore()
    await engine_dies(store, 3, 4, 5)
    async with process(store) as heir:
        heir.judge(3, 4, 5, 6, 7, 8)
        heir.go_on.set()
        await heir.finish()
        assert {heir.company[offset] for offset in (3, 4, 5)} == {0}
        heir.go_on.clear()
        heir.judge(10, 11, 12)
        await heir.until_inside(10, 11, 12)
        await heir.finish()
        await heir.suspects.close()
    assert store.texts == {PLACE: ""}


async def test_an_innocent_record_is_never_given_up_and_a_poison_is_after_two_deaths_alone() -> None:
    store = MemoryStore()
    await engine_dies(store, 3, 4, 5)
    await engine_dies(store, 4, 3, 5, alone=4)
    await engine_dies(store, 4, alone=4)
    async with process(store) as heir:
        heir.judge(3, 4, 5)
        await heir.finish()
        assert isinstance(heir.tasks[4].exception(), EnginePoisonError)
        assert heir.tasks[3].exception() is heir.tasks[5].exception() is None


async def test_one_death_alone_gives_nothing_up() -> None:
    store = MemoryStore()
    await engine_dies(store, 3, 4)
    await engine_dies(store, 4, 3, alone=4)
    async with process(store) as heir:
        heir.judge(3, 4)
        await heir.finish()
        assert heir.tasks[4].exception() is None


async def test_a_death_while_another_one_is_alone_is_not_counted() -> None:
    store = MemoryStore()
    await engine_dies(store, 3, 4)
    for _ in range(2):
        await engine_dies(store, 3, alone=3)
    async with process(store) as heir:
        heir.judge(4)
        await heir.finish()
        assert heir.tasks[4].exception() is None


async def test_a_process_that_vanishes_with_its_engine_again_and_again_is_found_out_too() -> None:
    store = MemoryStore()
    await vanishes(store, 3, 4)  # without a trace of what was inside
    await vanishes(store, 3, 4)  # what enters is written down before
    await vanishes(store, 3, 4, alone=3)
    await vanishes(store, 3, alone=3)
    async with process(store) as heir:
        heir.judge(3, 4)
        await heir.finish()
        assert isinstance(heir.tasks[3].exception(), EnginePoisonError)
        assert heir.tasks[4].exception() is None


async def test_after_one_killed_process_records_still_share_the_engine() -> None:
    store = MemoryStore()
    await vanishes(store, 3, 4)
    async with process(store) as heir:
        heir.judge(3, 4, 5)
        await heir.until_inside(3, 4, 5)


async def test_a_process_that_ends_in_good_order_leaves_no_suspect() -> None:
    store = MemoryStore()
    async with process(store) as first:
        first.judge(3, 4)
        await first.until_inside(3, 4)
        for task in first.tasks.values():  # the time of the drain is over
            task.cancel()
        await asyncio.gather(*first.tasks.values(), return_exceptions=True)
        await first.suspects.close()
    assert store.texts == {PLACE: ""}


async def test_a_drain_while_a_suspect_is_alone_is_no_death() -> None:
    store = MemoryStore()
    await engine_dies(store, 3, 4)
    for _ in range(3):
        async with process(store) as drained:
            drained.judge(3)
            await drained.until_inside(3)
            drained.tasks[3].cancel()
            await asyncio.wait([drained.tasks[3]])
            await drained.suspects.close()
    async with process(store) as heir:
        heir.judge(3, 4)
        await heir.finish()
        assert heir.tasks[3].exception() is None


async def test_suspects_go_along_when_their_partition_moves() -> None:
    store = MemoryStore()
    await engine_dies(store, 3, 4)
    async with process(store) as passing:
        passing.judge(4)
        await passing.until_inside(4)
        passing.suspects.keep_only(frozenset({OTHER}))
        passing.tasks[4].cancel()
        await asyncio.wait([passing.tasks[4]])
        async with process(store) as heir:
            heir.judge(3, 4)
            await heir.finish()
            assert (heir.company[3], heir.company[4]) == (0, 0)


async def test_suspects_that_were_finished_are_forgotten() -> None:
    store = MemoryStore()
    await engine_dies(store, 3, 4)
    async with process(store, progress=Progress(4, 0b10)) as heir:
        heir.judge(6)
        await heir.until_inside(6)
        heir.judge(5, 7)
        await heir.until_inside(5, 6, 7)
        await heir.finish()
        heir.suspects.committed(PLACE, [4])
        await heir.suspects.close()
    assert store.texts == {PLACE: ""}


async def test_a_record_of_a_topic_that_was_made_anew_pays_for_no_other() -> None:
    store = MemoryStore()
    await engine_dies(store, 3, 4)
    await engine_dies(store, 3, alone=3)
    await engine_dies(store, 3, alone=3)
    async with process(store) as heir, heir.suspects.inside(record(3)._replace(timestamp_ms=5)):
        pass


async def test_a_store_that_cannot_be_reached_holds_nothing_up() -> None:
    store = MemoryStore()
    store.is_broken = True
    async with process(store) as running:
        running.judge(3, 4)
        await running.until_inside(3, 4)
        await running.finish()
        await running.suspects.close()


async def test_records_of_partitions_that_are_not_open_are_judged() -> None:
    running = Process(MemoryStore())
    running.judge(1, 2)
    await running.until_inside(1, 2)
    await running.finish()


async def test_a_suspect_that_is_given_up_while_it_waits_lets_the_others_in() -> None:
    store = MemoryStore()
    await engine_dies(store, 3)
    async with process(store) as heir:
        heir.suspects.opened(OTHER, Progress(0))
        heir.judge(1, partition=1)
        await heir.until_inside(1)
        heir.judge(3)
        await asyncio.sleep(0.1)
        heir.judge(2, partition=1)
        await asyncio.sleep(0.01)
        assert heir.inside == {1}
        heir.tasks[3].cancel()
        await heir.until_inside(1, 2)


@pytest.mark.parametrize("failure", [EngineDeadError(detail="test"), RuntimeError("test")])
async def test_only_the_death_of_the_engine_keeps_a_record_inside(failure: Exception) -> None:
    store = MemoryStore()
    async with process(store) as running:
        await asyncio.sleep(0.01)
        with pytest.raises(type(failure)):
            async with running.suspects.inside(record(3)):
                raise failure
        await running.suspects.close()
    assert bool(store.texts[PLACE]) == isinstance(failure, EngineDeadError)


async def test_an_engine_that_dies_of_everything_gives_nothing_up() -> None:
    store = MemoryStore()
    await engine_dies(store, 3, 4)
    await engine_dies(store, 3, alone=3)
    heir = Process(store, proof_s=60.0)
    heir.suspects.opened(PLACE, NOTHING_DONE)
    heir.judge(3, 4)
    await heir.until_inside(4)
    heir.go_on.set()
    await asyncio.wait_for(asyncio.gather(*heir.tasks.values()), 5)
    assert (heir.company[3], heir.company[4]) == (0, 0)
    await heir.suspects.close()
