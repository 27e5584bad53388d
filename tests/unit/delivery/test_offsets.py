"""Progress as `(base, bitmap)`: any order of completions, gaps and restarts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.offsets import MAX_METADATA_CHARS, MAX_SPAN, PartitionProgress, Progress
from service.kafka.errors import ProgressUnreadableError

offsets_above = st.sets(st.integers(min_value=1, max_value=MAX_SPAN), max_size=200)


TOPIC_ID = "AaIkH7b7eGCVA6kmP1bnGw"


@given(base=st.integers(min_value=0, max_value=2**62), above=offsets_above, topic_id=st.sampled_from([None, TOPIC_ID]))
def test_a_progress_survives_its_way_through_the_metadata(base: int, above: set[int], topic_id: str | None) -> None:
    progress = Progress(base, sum(1 << distance for distance in above), topic_id)
    stored = Progress.decode(base, progress.encode())
    assert (stored, stored.topic_id) == (progress, topic_id)


def test_the_older_form_without_a_topic_is_read() -> None:
    assert Progress.decode(7, "ms1:Fg==") == Progress(7, 0b10110)
    assert Progress.decode(7, "ms1:Fg==").topic_id is None


@given(above=offsets_above, start=st.integers(min_value=900, max_value=1000 + MAX_SPAN + 10))
def test_what_is_unfinished_below_a_start_is_counted_and_can_be_passed(above: set[int], start: int) -> None:
    progress = Progress(1000, sum(1 << distance for distance in above))
    finished = {1000 + distance for distance in above}
    assert progress.unfinished_below(start) == len(set(range(1000, start)) - finished)
    passed = progress.raised(start)
    expected = finished | set(range(start))
    assert all(passed.is_finished(offset) == (offset in expected) for offset in range(1000, 1000 + MAX_SPAN + 10))
    assert not passed.is_finished(passed.base)


@given(above=offsets_above)
def test_a_progress_knows_exactly_what_is_finished(above: set[int]) -> None:
    progress = Progress(1000, sum(1 << distance for distance in above))
    finished = {offset for offset in range(900, 1000 + MAX_SPAN + 10) if progress.is_finished(offset)}
    assert finished == {*range(900, 1000), *(1000 + distance for distance in above)}


def test_the_longest_bitmap_fits_into_the_metadata() -> None:
    everything = Progress(0, (1 << (MAX_SPAN + 1)) - 2, TOPIC_ID)
    assert len(everything.encode()) <= MAX_METADATA_CHARS


def test_nothing_above_the_base_needs_no_metadata() -> None:
    assert Progress(7).encode() == ""
    assert Progress.decode(7, "") == Progress(7)


@pytest.mark.parametrize(
    "metadata",
    ["another's", "ms2:AAAA", "ms1:not base64!", "ms1:AAA", "ms2::AAAA", "ms2:id:AAA", "ms3:id:AAAA"],
)
def test_metadata_of_another_program_stops_the_service(metadata: str) -> None:
    with pytest.raises(ProgressUnreadableError):
        Progress.decode(7, metadata)


def test_the_base_waits_for_the_slowest_record() -> None:
    progress = PartitionProgress(Progress(0))
    for offset in range(5):
        assert progress.deliver(offset)
    assert progress.plan([1, 2, 4]) == Progress(0, 0b10110)


def test_offsets_that_never_come_are_not_waited_for() -> None:
    progress = PartitionProgress(Progress(10))
    progress.deliver(10)
    progress.deliver(13)  # 11 was compacted away, 12 is a transaction's marker
    assert progress.plan([10]) == Progress(13)
    assert progress.plan([10, 13]) == Progress(14)


def test_the_base_passes_earlier_commits_and_the_gap_behind_them() -> None:
    progress = PartitionProgress(Progress(0))
    for offset in (0, 1, 5):
        progress.deliver(offset)
    progress.apply(progress.plan([1]), [1])
    assert progress.plan([0]) == Progress(5)


def test_the_base_passes_what_an_earlier_owner_finished() -> None:
    progress = PartitionProgress(Progress(10, 0b110))
    progress.deliver(10)
    assert progress.plan([10]) == Progress(13)


def test_what_an_earlier_owner_finished_is_not_delivered_again() -> None:
    progress = PartitionProgress(Progress(10, 0b10))
    assert [progress.deliver(offset) for offset in (9, 10, 11, 12)] == [False, True, False, True]


def test_a_record_that_comes_twice_is_delivered_once() -> None:
    progress = PartitionProgress(Progress(0))
    assert progress.deliver(0)
    assert not progress.deliver(0)


def test_a_plan_changes_nothing_until_it_is_applied() -> None:
    progress = PartitionProgress(Progress(0))
    progress.deliver(0)
    progress.deliver(1)
    progress.plan([0, 1])
    assert progress.committed == Progress(0)
    assert progress.plan([1]) == Progress(0, 0b10)


def test_the_span_counts_from_the_oldest_unfinished_record() -> None:
    progress = PartitionProgress(Progress(0))
    assert progress.span == 0
    assert progress.fits(10**9, MAX_SPAN)  # nothing is open, so the bitmap would begin there
    progress.deliver(100)
    assert progress.span == 1
    assert progress.fits(100 + MAX_SPAN, MAX_SPAN)
    assert not progress.fits(101 + MAX_SPAN, MAX_SPAN)


def test_a_jump_over_a_long_gap_costs_no_memory() -> None:
    progress = PartitionProgress(Progress(0))
    progress.deliver(0)
    progress.apply(progress.plan([0]), [0])
    progress.deliver(10**15)
    progress.deliver(10**15 + 1)
    assert progress.plan([10**15 + 1]) == Progress(10**15, 0b10)
