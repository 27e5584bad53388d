"""Logs that no longer fit the group's offsets: what is noticed, and where it goes on."""

import pytest

from service.core.records import Partition
from service.delivery.lost_offsets import Choice
from service.delivery.offsets import Progress
from service.kafka.errors import OffsetsLostError
from service.kafka.log_bounds import LogBounds
from testing.metrics import counting, scraped
from testing.offset_guards import Logs

PLACE = Partition("images.uploaded", 0)
LOG = LogBounds(10, 30, 30, "this")

LOSSES = [
    pytest.param(Progress(31), "log_truncated", id="the log ends below the offset"),
    pytest.param(Progress(20, 1 << 10), "log_truncated", id="the log ends below a finished record"),
    pytest.param(Progress(9), "records_deleted", id="a record was deleted"),
    pytest.param(Progress(5, 0b10110), "records_deleted", id="one of several was not finished"),
    pytest.param(Progress(20, topic_id="other"), "topic_recreated", id="the topic has another id"),
    pytest.param(Progress(40, topic_id="other"), "topic_recreated", id="the id says more than the end"),
]


@pytest.mark.parametrize(("stored", "cause"), LOSSES)
async def test_a_log_that_does_not_fit_stops_the_service(stored: Progress, cause: str) -> None:
    with pytest.raises(OffsetsLostError) as raised:
        await Logs(LOG).guard("stop").starting_point(PLACE, stored)
    assert raised.value.facts["cause"] == cause
    for words in (
        "images.uploaded partition 0",
        "kafka.on_lost_offsets is stop",
        "MODSTREAM_KAFKA__ON_LOST_OFFSETS=earliest, which goes on at offset 10",
        "=latest, at offset 30",
        "--group modstream --topic images.uploaded:0 --reset-offsets",
    ):
        assert words in str(raised.value)


@pytest.mark.parametrize(("stored", "cause"), LOSSES)
@pytest.mark.parametrize("choice", ["earliest", "latest"])
async def test_or_it_goes_on_where_the_setting_says_and_counts_that(
    stored: Progress, cause: str, choice: Choice
) -> None:
    with counting() as metrics:
        guard = Logs(LOG).guard(choice)
        start = await guard.starting_point(PLACE, stored)
        assert scraped(metrics).by("cause", "modstream_offsets_lost_total") == {cause: 1}
    assert guard.lost == 1
    expected = Progress(10) if cause == "records_deleted" or choice == "earliest" else Progress(30)
    assert (start.progress, start.progress.topic_id) == (expected, "this")
    assert start.is_other_log == (cause != "records_deleted")


@pytest.mark.parametrize(
    "stored",
    [
        Progress(10),
        Progress(30),
        Progress(20, 0b1000000010),
        Progress(20, topic_id="this"),
    ],
    ids=["at its start", "at its end", "all inside", "the same topic"],
)
async def test_a_log_that_fits_is_read_from_the_stored_offset(stored: Progress) -> None:
    logs = Logs(LOG)
    start = await logs.guard().starting_point(PLACE, stored)
    assert (start.progress, start.is_other_log) == (stored, False)
    assert logs.looks == 1


async def test_what_was_deleted_after_it_was_finished_is_no_loss() -> None:
    start = await Logs(LOG).guard().starting_point(PLACE, Progress(8, 0b1011))
    assert start.progress == Progress(10, 0b10)


async def test_an_offset_that_an_operator_set_within_the_log_is_honoured() -> None:
    guard = Logs(LOG).guard()
    await guard.starting_point(PLACE, Progress(20, topic_id="this"))
    for offset in (12, 28):
        assert (await guard.starting_point(PLACE, Progress(offset))).progress.base == offset


async def test_a_group_that_begins_reads_all_there_is() -> None:
    start = await Logs(LOG).guard().starting_point(PLACE, None)
    assert (start.progress, start.progress.topic_id, start.is_stored) == (Progress(10), "this", False)


async def test_an_offset_that_is_gone_although_outcomes_exist_is_a_loss() -> None:
    with pytest.raises(OffsetsLostError, match=r"offset_missing.* If the group is a new one .* latest only those"):
        await Logs(LOG, forgotten=True).guard().starting_point(PLACE, None)


async def test_an_empty_log_lost_nothing_whatever_was_forgotten() -> None:
    start = await Logs(LogBounds(10, 10, 10), forgotten=True).guard().starting_point(PLACE, None)
    assert start.progress == Progress(10)
    # An offset here would hide from the other partitions that theirs are gone.
    assert start.is_stored


async def test_what_was_forgotten_of_one_partition_was_forgotten_of_all() -> None:
    logs = Logs(LOG, forgotten=True)
    guard = logs.guard("latest")
    assert (await guard.starting_point(PLACE, None)).progress == Progress(30)
    logs.forgotten = False  # the first has stored an offset meanwhile
    assert (await guard.starting_point(Partition(PLACE.topic, 1), None)).progress == Progress(30)


async def test_a_topic_made_again_is_noticed_by_who_knew_it_although_no_offset_is_stored() -> None:
    logs = Logs(LOG)
    guard = logs.guard()
    await guard.starting_point(PLACE, Progress(20))
    logs.bounds = LogBounds(0, 40, 40, "that")
    with pytest.raises(OffsetsLostError, match="topic_recreated"):
        await guard.starting_point(PLACE, None)


async def test_a_contradiction_counts_only_when_a_second_pass_finds_it_too() -> None:
    logs = Logs(LogBounds(0, 15, 15))
    logs.afterwards = LOG
    assert (await logs.guard().starting_point(PLACE, Progress(20))).progress == Progress(20)
    assert logs.looks == 2


async def test_brokers_that_report_ends_too_low_are_believed_only_when_they_refuse_to_be_read() -> None:
    logs = Logs(LogBounds(0, 15, 15))
    guard = logs.guard("earliest", trusts_ends=False)
    assert (await guard.starting_point(PLACE, Progress(20))).progress == Progress(20)
    guard.note_out_of_range(PLACE, 20)
    assert (await guard.starting_point(PLACE, Progress(20))).progress == Progress(0)
    assert (await guard.starting_point(PLACE, Progress(0))).progress == Progress(0)  # once that is stored
    assert (await guard.starting_point(PLACE, Progress(20))).progress == Progress(20)


async def test_a_decision_holds_until_it_is_stored_although_the_log_grows_past_the_old_offset() -> None:
    logs = Logs(LogBounds(0, 10, 10, "this"))
    guard = logs.guard("earliest")
    decided = await guard.starting_point(PLACE, Progress(20))
    assert decided.progress == Progress(0)
    logs.bounds = logs.afterwards = LogBounds(0, 30, 30, "this")  # before the decision could be stored
    assert await guard.starting_point(PLACE, Progress(20)) == decided
    assert guard.lost == 1
    stored = await guard.starting_point(PLACE, Progress(5))
    assert stored.progress == Progress(5)
