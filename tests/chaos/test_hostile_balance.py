"""The judge of the hostile hour, judged: it must see every way in which a run can fail."""

from testing.chaos.hostile.balance import Ledger, Place

FIRST, SECOND = Place(0, 0), Place(0, 1)


def a_ledger() -> Ledger:
    ledger = Ledger()
    ledger.feed(FIRST, "inline", 10.0)
    ledger.feed(SECOND, "brackets", 10.0)
    ledger.count(FIRST, "verdict", "", 10.5)
    ledger.count(SECOND, "dead letter", "event.too_complex", 11.0)
    return ledger


def test_a_verdict_for_each_good_one_and_any_outcome_for_each_hostile_one_holds() -> None:
    assert a_ledger().balance().holds


def test_a_record_without_an_outcome_is_lost() -> None:
    ledger = a_ledger()
    ledger.feed(Place(1, 7), "brackets", 12.0)
    assert ledger.balance().lost == (Place(1, 7),)
    assert ledger.unfinished == 1


def test_a_second_outcome_is_a_duplicate_whatever_its_kind() -> None:
    ledger = a_ledger()
    ledger.count(FIRST, "dead letter", "fetch.timeout", 12.0)
    assert ledger.balance().duplicated == (FIRST,)


def test_a_dead_letter_of_a_good_one_is_refused_with_its_reason() -> None:
    ledger = Ledger()
    ledger.feed(FIRST, "by URL", 10.0)
    ledger.count(FIRST, "dead letter", "fetch.timeout", 12.0)
    assert ledger.balance().refused == {FIRST: "fetch.timeout"}


def test_an_outcome_of_a_record_that_was_never_fed_is_unknown() -> None:
    ledger = a_ledger()
    ledger.count(Place(3, 3), "verdict", "", 12.0)
    assert ledger.balance().unknown == (Place(3, 3),)


def test_rows_tell_how_long_each_kind_waited() -> None:
    row = a_ledger().rows()["brackets"]
    assert (row.fed, row.verdicts, row.dead_letters, row.quantile(0.99)) == (1, 0, 1, 1.0)
