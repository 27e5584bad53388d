"""The offset bookkeeping against a plain model: any order of completions, gaps, failed and unknown commits, owners."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.delivery.offsets import MAX_METADATA_CHARS, PartitionProgress, Progress
from service.delivery.transactional_writer import was_committed
from service.kafka.errors import PartitionLostError

MAX_SPAN = 40


class OffsetsMachine(RuleBasedStateMachine):
    """A partition with gaps, a broker that stores what is committed, and owners that come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: tuple[int, str] | None = None  # what the broker holds
        self.outcomes: list[int] = []  # committed outcomes, in order: the model's truth

    @initialize(gaps=st.lists(st.integers(min_value=1, max_value=30), min_size=5, max_size=80))
    def log(self, gaps: list[int]) -> None:
        """Offsets exist with gaps between them, as compaction and transactions leave them; some stand for several."""
        self.log_offsets = []
        self.last: dict[int, int] = {}
        offset = gaps[0]
        for gap in gaps:
            self.log_offsets.append(offset)
            self.last[offset] = offset + gap - 1 if gap % 5 == 0 else offset
            offset = self.last[offset] + (gap if gap > 25 else 1)
        self.take_over()

    def take_over(self) -> None:
        """A new owner begins from what is stored."""
        self.progress = PartitionProgress(Progress.decode(*self.stored) if self.stored else Progress(0))
        start = self.progress.committed.base
        self.unread = [offset for offset in self.log_offsets if self.last[offset] >= start]
        self.open: set[int] = set()  # delivered, not handed over
        self.batch: list[int] = []  # handed over, not committed

    @precondition(lambda self: self.unread)
    @rule()
    def deliver(self) -> None:
        if self.progress.fits(self.last[self.unread[0]], MAX_SPAN):
            offset = self.unread.pop(0)
            if self.progress.deliver(offset, self.last[offset]):
                assert offset not in self.outcomes, "a finished record is judged again"
                self.open.add(offset)

    @rule()
    def pass_what_holds_no_record(self) -> None:
        """The position moves over markers and gaps, and is committed when no outcome would take it along."""
        self.progress.pass_to(self.unread[0] if self.unread else self.log_offsets[-1] + 30)
        if self.progress.is_ahead:
            assert not self.open
            assert not self.batch
            plan = self.progress.plan([])
            self.store(plan, [])
            self.progress.apply(plan, [])
            assert not self.progress.is_ahead

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(sorted(self.open)))
        self.open.remove(offset)
        self.batch.append(offset)

    @precondition(lambda self: self.batch)
    @rule(happened=st.booleans(), answered=st.booleans())
    def commit(self, happened: bool, answered: bool) -> None:
        """A commit happens or not, and its answer arrives or its fate is read back."""
        plan = self.progress.plan(self.batch)
        if happened:
            self.store(plan, self.batch)
        if answered:
            known = happened
        else:
            stored = Progress.decode(*self.stored) if self.stored else Progress(0)
            known = was_committed(stored, attempted=plan, committed=self.progress.committed)
        assert known == happened
        if known:
            self.progress.apply(plan, self.batch)
            self.batch = []

    def store(self, plan: Progress, batch: list[int]) -> None:
        self.stored = plan.base, plan.encode()
        self.outcomes += batch

    @rule()
    def crash(self) -> None:
        """The owner is gone with all it had not committed."""
        self.take_over()

    @precondition(lambda self: self.batch)
    @rule()
    def lose_to_another_owner(self) -> None:
        """Another owner commits something else meanwhile: the partition is given up and taken over anew."""
        other = PartitionProgress(self.progress.committed)
        rest = [o for o in self.log_offsets if o >= other.committed.base]
        others = next(([o] for o in rest if other.deliver(o, self.last[o])), [])
        stolen = other.plan(others)
        if not others or stolen == self.progress.plan(self.batch):
            return
        self.store(stolen, others)
        try:
            was_committed(stolen, attempted=self.progress.plan(self.batch), committed=self.progress.committed)
        except PartitionLostError:
            self.take_over()
        else:
            raise AssertionError("an owner overlooked that it lost its partition")

    @invariant()
    def no_outcome_is_committed_twice(self) -> None:
        assert len(self.outcomes) == len(set(self.outcomes))

    @invariant()
    def the_broker_holds_exactly_what_is_finished(self) -> None:
        if self.stored is None:
            assert not self.outcomes
            return
        assert len(self.stored[1]) <= MAX_METADATA_CHARS
        progress = Progress.decode(*self.stored)
        for offset in self.log_offsets:
            spanned = {progress.is_finished(each) for each in range(offset, self.last[offset] + 1)}
            assert spanned == {offset in self.outcomes}

    def teardown(self) -> None:
        """Whatever happened, an owner that is left alone finishes every record once."""
        if not hasattr(self, "log_offsets"):
            return
        self.take_over()
        while self.unread or self.open or self.batch:
            while self.unread and self.progress.fits(self.last[self.unread[0]], MAX_SPAN):
                self.deliver()
            self.batch += sorted(self.open)
            self.open.clear()
            if self.batch:
                self.commit(happened=True, answered=True)
        assert sorted(self.outcomes) == self.log_offsets


OffsetsMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
test_offsets_hold_through_any_history = OffsetsMachine.TestCase
