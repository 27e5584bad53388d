"""Dead letters are dealt with batch by batch, each once, and only those that are meant."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from service.events.codec_errors import EventEmptyError
from service.kafka.errors import PublishUnknownError, ShutOutError
from service.tools.dead_letters.actions import Redrive
from service.tools.dead_letters.filters import DeadLetterFilter
from service.tools.dead_letters.rate_limit import MAX_BATCH, Pace
from service.tools.dead_letters.run import MAX_REFUSED_SHOWN, RunResult, carry_out
from testing.dead_letters import JOURNAL, UPLOADS, MemoryDeadLetterStore, a_dead_letter, vanish

REDRIVE = Redrive(UPLOADS, JOURNAL, lambda: datetime(2026, 5, 5, tzinfo=UTC))
EVERY = DeadLetterFilter()
SLOW_STEPS = Pace(1e9)


def ten_letters() -> MemoryDeadLetterStore:
    return MemoryDeadLetterStore([a_dead_letter(offset, key=b"%d" % offset) for offset in range(10)])


async def send_back(
    store: MemoryDeadLetterStore,
    wanted: DeadLetterFilter = EVERY,
    *,
    execute: bool = True,
    limit: int | None = None,
    pace: Pace = SLOW_STEPS,
) -> RunResult:
    result = RunResult()
    await carry_out(store, REDRIVE, wanted, result, execute=execute, pace=pace, limit=limit)
    return result


async def in_steps_of_one(store: MemoryDeadLetterStore) -> RunResult:
    return await send_back(store, pace=Pace(1, sleep=no_sleep))


async def no_sleep(_seconds: float) -> None:
    """Do not wait."""


def keys(store: MemoryDeadLetterStore) -> Counter[bytes | None]:
    return Counter(record.key for record in store.sent)


async def test_a_dry_run_counts_and_sends_nothing() -> None:
    store = ten_letters()
    assert (await send_back(store, execute=False)).done == 10
    assert (store.sent, store.journal, store.turn) == ([], [], 0)


async def test_every_letter_is_sent_once_however_often_it_is_asked_for() -> None:
    store = ten_letters()
    assert (await send_back(store)).done == 10
    again = await send_back(store)
    assert (again.done, again.done_before) == (0, 10)
    assert keys(store) == Counter(b"%d" % offset for offset in range(10))
    assert (await send_back(store, execute=False)).done == 0


async def test_a_filter_leaves_the_others_for_later() -> None:
    store = MemoryDeadLetterStore(
        [a_dead_letter(0, key=b"0", error=EventEmptyError()), a_dead_letter(1, key=b"1"), a_dead_letter(2, key=b"2")]
    )
    first = await send_back(store, DeadLetterFilter(reasons=("image.*",)))
    assert first.reasons == Counter({"image.not_found": 2})
    assert keys(store) == Counter([b"1", b"2"])
    assert (await send_back(store)).reasons == Counter({"event.empty": 1})


async def test_a_limit_ends_the_run_and_the_next_one_goes_on_behind_it() -> None:
    store = ten_letters()
    first = await send_back(store, limit=4)
    assert (first.done, first.limit_reached) == (4, True)
    second = await send_back(store, limit=6)
    assert (second.done, second.done_before, second.limit_reached) == (6, 4, False)
    assert keys(store) == Counter(b"%d" % offset for offset in range(10))


async def test_a_commit_without_an_answer_ends_the_run_and_the_next_one_knows_its_fate() -> None:
    for happened in (False, True):
        store = ten_letters()
        await send_back(store, limit=3)
        store.before_commit, store.after_commit = (None, vanish) if happened else (vanish, None)
        with pytest.raises(PublishUnknownError):
            await in_steps_of_one(store)
        store.before_commit = store.after_commit = None
        assert (await send_back(store)).done == (6 if happened else 7)
        assert keys(store) == Counter(b"%d" % offset for offset in range(10))


async def test_who_comes_second_shuts_out_who_came_first() -> None:
    store = ten_letters()

    async def interfere() -> None:
        if len(store.sent) == 4:
            store.before_commit = None
            assert (await send_back(store)).done == 6

    store.before_commit = interfere
    with pytest.raises(ShutOutError):
        await in_steps_of_one(store)
    assert keys(store) == Counter(b"%d" % offset for offset in range(10))


async def test_what_cannot_be_sent_is_reported_and_stays_open() -> None:
    cut = [a_dead_letter(offset, value=b"x" * 50_000, max_bytes=16_384) for offset in range(MAX_REFUSED_SHOWN + 5)]
    store = MemoryDeadLetterStore([*cut, a_dead_letter(100)])
    result = await send_back(store)
    assert (result.done, result.refused, len(result.refused_shown)) == (1, MAX_REFUSED_SHOWN + 5, MAX_REFUSED_SHOWN)
    assert len(store.journal) == 1


async def test_letters_that_came_meanwhile_are_left_for_another_time() -> None:
    store = ten_letters()

    async def fail_again() -> None:
        store.dead_letters.append(a_dead_letter(10 + len(store.dead_letters)))

    store.after_commit = fail_again
    assert (await in_steps_of_one(store)).done == 10


async def test_the_journal_forgets_letters_that_are_gone() -> None:
    store = ten_letters()
    await send_back(store)
    store.dead_letters, store.beginnings = [], {3: 8}
    await send_back(store)
    assert len(await store.marks()) == 2


async def test_a_batch_is_no_larger_than_a_transaction_should_be() -> None:
    store = MemoryDeadLetterStore([a_dead_letter(offset, value=b"x" * 900_000) for offset in range(12)])
    sizes: list[int] = []

    async def note() -> None:
        sizes.append(len(store.sent) - sum(sizes))

    store.after_commit = note
    await send_back(store)
    assert sizes == [5, 5, 2]


async def test_a_rate_is_kept_on_average() -> None:
    now_s, waits = 100.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds
        waits.append(round(seconds, 3))

    pace = Pace(4, clock=lambda: now_s, sleep=sleep)
    assert (await send_back(ten_letters(), pace=pace)).done == 10
    assert (pace.batch, waits) == (4, [1.0, 1.0])


def test_without_a_rate_batches_are_full() -> None:
    assert Pace().batch == MAX_BATCH
    assert Pace(0.5).batch == 1
