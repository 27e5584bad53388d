"""The judge of the hostile hour, judged: it must see every way in which a run can fail."""

from testing.chaos.hostile.balance import HostileCounts, Place

FIRST, SECOND = Place(0, 0), Place(0, 1)


def hostile_counts() -> HostileCounts:
    counts = HostileCounts()
    counts.feed(FIRST, "inline", 10.0)
    counts.feed(SECOND, "brackets", 10.0)
    counts.count(FIRST, "verdict", "", 10.5)
    counts.count(SECOND, "dead letter", "event.too_complex", 11.0)
    return counts


def test_a_verdict_for_each_good_one_and_any_outcome_for_each_hostile_one_holds() -> None:
    assert hostile_counts().balance().holds


def test_a_record_without_an_outcome_is_lost() -> None:
    counts = hostile_counts()
    counts.feed(Place(1, 7), "brackets", 12.0)
    assert counts.balance().lost == (Place(1, 7),)
    assert counts.unfinished == 1


def test_a_second_outcome_is_a_duplicate_whatever_its_kind() -> None:
    counts = hostile_counts()
    counts.count(FIRST, "dead letter", "fetch.timeout", 12.0)
    assert counts.balance().duplicated == (FIRST,)


def test_a_dead_letter_of_a_good_one_is_refused_with_its_reason() -> None:
    counts = HostileCounts()
    counts.feed(FIRST, "by URL", 10.0)
    counts.count(FIRST, "dead letter", "fetch.timeout", 12.0)
    assert counts.balance().refused == {FIRST: "fetch.timeout"}


def test_an_outcome_of_a_record_that_was_never_fed_is_unknown() -> None:
    counts = hostile_counts()
    counts.count(Place(3, 3), "verdict", "", 12.0)
    assert counts.balance().unknown == (Place(3, 3),)


def test_rows_report_how_long_each_kind_waited() -> None:
    row = hostile_counts().rows()["brackets"]
    assert (row.fed, row.verdicts, row.dead_letters, row.quantile(0.99)) == (1, 0, 1, 1.0)
