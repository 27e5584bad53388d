"""The bookkeeping of re-drives against a plain model: filters, limits, crashes, rivals, repeated failures."""

import asyncio
import contextlib
from collections import Counter
from datetime import UTC, datetime

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from service.kafka.errors import PublishUnknownError, ShutOutError
from service.tools.dead_letters.actions import Discard, Redrive
from service.tools.dead_letters.filters import DeadLetterFilter
from service.tools.dead_letters.rate_limit import Pace
from service.tools.dead_letters.run import Action, RunResult, carry_out
from testing.dead_letters import JOURNAL, UPLOADS, MemoryDeadLetterStore, a_dead_letter, vanish

NOW = datetime(2026, 5, 5, tzinfo=UTC)
REDRIVE = Redrive(UPLOADS, JOURNAL, lambda: NOW)
DISCARD = Discard("a test", JOURNAL, lambda: NOW)

filters = st.builds(
    DeadLetterFilter,
    partitions=st.frozensets(st.integers(min_value=0, max_value=2), max_size=2),
    offsets=st.none() | st.builds(range, st.integers(0, 15), st.integers(0, 40)),
)
limits = st.none() | st.integers(min_value=1, max_value=8)


async def _no_sleep(_seconds: float) -> None:
    """Do not wait."""


class LettersMachine(RuleBasedStateMachine):
    """Dead letters come, people send them back and discard them, and things go wrong in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryDeadLetterStore()
        self.ends = Counter[int]()

    @rule(partition=st.integers(min_value=0, max_value=2), count=st.integers(min_value=1, max_value=6))
    def fail(self, partition: int, count: int) -> None:
        """Records become dead letters; every third offset is a transaction's marker."""
        for _ in range(count):
            self.ends[partition] += 2 if self.ends[partition] % 3 == 1 else 1
            offset = self.ends[partition]
            self.store.dead_letters.append(
                a_dead_letter(offset, partition=partition, key=b"%d:%d" % (partition, offset))
            )

    @rule(wanted=filters, limit=limits, batch=st.integers(1, 4), discards=st.booleans())
    def deal(self, wanted: DeadLetterFilter, limit: int | None, batch: int, discards: bool) -> None:
        """All goes well."""
        self._run(DISCARD if discards else REDRIVE, wanted, limit, batch)

    @rule(wanted=filters, batch=st.integers(1, 4), at=st.integers(1, 4), happened=st.booleans())
    def crash(self, wanted: DeadLetterFilter, batch: int, at: int, happened: bool) -> None:
        """The process dies in a commit, which happened or not."""
        commits = 0

        async def die() -> None:
            nonlocal commits
            commits += 1
            if commits == at:
                await vanish()

        if happened:
            self.store.after_commit = die
        else:
            self.store.before_commit = die
        self._run(REDRIVE, wanted, None, batch)
        self.store.before_commit = self.store.after_commit = None

    @rule(wanted=filters, batch=st.integers(1, 4), at=st.integers(1, 4), others=filters)
    def rival(self, wanted: DeadLetterFilter, batch: int, at: int, others: DeadLetterFilter) -> None:
        """Another run takes over in the middle, does some of it, and leaves the rest."""
        commits = 0

        async def take_over() -> None:
            nonlocal commits
            commits += 1
            if commits == at:
                self.store.before_commit = None
                await carry_out(self.store, REDRIVE, others, RunResult(), execute=True, pace=Pace(), limit=3)

        self.store.before_commit = take_over
        self._run(REDRIVE, wanted, None, batch)
        self.store.before_commit = None

    @rule(partition=st.integers(min_value=0, max_value=2), by=st.integers(1, 10))
    def expire(self, partition: int, by: int) -> None:
        """The brokers delete the oldest dead letters."""
        beginning = self.store.beginnings.get(partition, 0) + by
        self.store.beginnings[partition] = beginning
        self.ends[partition] = max(self.ends[partition], beginning)
        self.store.dead_letters = [
            dead_letter
            for dead_letter in self.store.dead_letters
            if dead_letter.partition != partition or dead_letter.offset >= beginning
        ]

    def _run(self, action: Action, wanted: DeadLetterFilter, limit: int | None, batch: int) -> None:
        work = carry_out(
            self.store, action, wanted, RunResult(), execute=True, pace=Pace(batch, sleep=_no_sleep), limit=limit
        )
        with contextlib.suppress(PublishUnknownError, ShutOutError):
            asyncio.run(work)

    @invariant()
    def nothing_is_sent_twice(self) -> None:
        counts = Counter(record.key for record in self.store.sent)
        assert max(counts.values(), default=1) == 1

    @invariant()
    def what_is_discarded_is_not_sent(self) -> None:
        discarded = {record.key for record in self.store.journal if b"discarded" in (record.value or b"")}
        assert not discarded & {record.key for record in self.store.sent}

    def teardown(self) -> None:
        """Whatever happened, one run without a filter deals with everything that is left, and then nothing is."""
        self._run(REDRIVE, DeadLetterFilter(), None, 4)
        self.nothing_is_sent_twice()
        dealt_with = {record.key for record in self.store.journal} | {record.key for record in self.store.sent}
        assert {dead_letter.key for dead_letter in self.store.dead_letters} <= dealt_with
        result = RunResult()
        asyncio.run(carry_out(self.store, REDRIVE, DeadLetterFilter(), result, execute=False, pace=Pace()))
        assert result.done == 0


LettersMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
test_letters_are_dealt_with_once_through_any_history = LettersMachine.TestCase
