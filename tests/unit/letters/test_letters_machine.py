"""The bookkeeping of re-drives against a plain model: filters, limits, crashes, rivals and letters that fail again."""

import asyncio
import contextlib
from collections import Counter
from datetime import UTC, datetime

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from service.letters.filters import LetterFilter
from service.letters.moves import Discard, Redrive
from service.letters.pace import Pace
from service.letters.work import Move, Tally, carry_out
from service.stream.errors import PublishUnknownError, ShutOutError
from tests.support.letters import JOURNAL, UPLOADS, MemoryDesk, a_letter, vanish

NOW = datetime(2026, 5, 5, tzinfo=UTC)
REDRIVE = Redrive(UPLOADS, JOURNAL, lambda: NOW)
DISCARD = Discard("a test", JOURNAL, lambda: NOW)

filters = st.builds(
    LetterFilter,
    partitions=st.frozensets(st.integers(min_value=0, max_value=2), max_size=2),
    offsets=st.none() | st.builds(range, st.integers(0, 15), st.integers(0, 40)),
)
limits = st.none() | st.integers(min_value=1, max_value=8)


async def _no_sleep(_seconds: float) -> None:
    """Do not wait."""


class LettersMachine(RuleBasedStateMachine):
    """Letters come, people send them back and discard them, and things go wrong in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = MemoryDesk()
        self.ends = Counter[int]()

    @rule(partition=st.integers(min_value=0, max_value=2), count=st.integers(min_value=1, max_value=6))
    def fail(self, partition: int, count: int) -> None:
        """Records become letters; every third offset is a transaction's marker."""
        for _ in range(count):
            self.ends[partition] += 2 if self.ends[partition] % 3 == 1 else 1
            offset = self.ends[partition]
            self.desk.letters.append(a_letter(offset, partition=partition, key=b"%d:%d" % (partition, offset)))

    @rule(wanted=filters, limit=limits, batch=st.integers(1, 4), discards=st.booleans())
    def deal(self, wanted: LetterFilter, limit: int | None, batch: int, discards: bool) -> None:
        """All goes well."""
        self._run(DISCARD if discards else REDRIVE, wanted, limit, batch)

    @rule(wanted=filters, batch=st.integers(1, 4), at=st.integers(1, 4), happened=st.booleans())
    def crash(self, wanted: LetterFilter, batch: int, at: int, happened: bool) -> None:
        """The process dies in a commit, which happened or not."""
        commits = 0

        async def die() -> None:
            nonlocal commits
            commits += 1
            if commits == at:
                await vanish()

        if happened:
            self.desk.after_commit = die
        else:
            self.desk.before_commit = die
        self._run(REDRIVE, wanted, None, batch)
        self.desk.before_commit = self.desk.after_commit = None

    @rule(wanted=filters, batch=st.integers(1, 4), at=st.integers(1, 4), others=filters)
    def rival(self, wanted: LetterFilter, batch: int, at: int, others: LetterFilter) -> None:
        """Somebody else takes over in the middle, does some of it, and leaves the rest."""
        commits = 0

        async def take_over() -> None:
            nonlocal commits
            commits += 1
            if commits == at:
                self.desk.before_commit = None
                await carry_out(self.desk, REDRIVE, others, Tally(), execute=True, pace=Pace(), limit=3)

        self.desk.before_commit = take_over
        self._run(REDRIVE, wanted, None, batch)
        self.desk.before_commit = None

    @rule(partition=st.integers(min_value=0, max_value=2), by=st.integers(1, 10))
    def expire(self, partition: int, by: int) -> None:
        """The brokers delete the oldest letters."""
        beginning = self.desk.beginnings.get(partition, 0) + by
        self.desk.beginnings[partition] = beginning
        self.ends[partition] = max(self.ends[partition], beginning)
        self.desk.letters = [
            letter for letter in self.desk.letters if letter.partition != partition or letter.offset >= beginning
        ]

    def _run(self, move: Move, wanted: LetterFilter, limit: int | None, batch: int) -> None:
        work = carry_out(self.desk, move, wanted, Tally(), execute=True, pace=Pace(batch, sleep=_no_sleep), limit=limit)
        with contextlib.suppress(PublishUnknownError, ShutOutError):
            asyncio.run(work)

    @invariant()
    def nothing_is_sent_twice(self) -> None:
        counts = Counter(record.key for record in self.desk.sent)
        assert max(counts.values(), default=1) == 1

    @invariant()
    def what_is_discarded_is_not_sent(self) -> None:
        discarded = {record.key for record in self.desk.journal if b"discarded" in (record.value or b"")}
        assert not discarded & {record.key for record in self.desk.sent}

    def teardown(self) -> None:
        """Whatever happened, one run without a filter deals with everything that is left, and then nothing is."""
        self._run(REDRIVE, LetterFilter(), None, 4)
        self.nothing_is_sent_twice()
        dealt_with = {record.key for record in self.desk.journal} | {record.key for record in self.desk.sent}
        assert {letter.key for letter in self.desk.letters} <= dealt_with
        tally = Tally()
        asyncio.run(carry_out(self.desk, REDRIVE, LetterFilter(), tally, execute=False, pace=Pace()))
        assert tally.done == 0


LettersMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
test_letters_are_dealt_with_once_through_any_history = LettersMachine.TestCase
