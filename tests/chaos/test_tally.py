"""The judge of the chaos runs, judged: it must see every way in which a run can fail."""

from service.settings.delivery import TopicSettings
from testing.chaos.tally import Tally
from testing.chaos.workload import expected_topics, is_rejected, stumbles

TOPICS = TopicSettings()
NUMBERS = range(100)


def balanced_tally() -> Tally:
    tally = Tally(TOPICS)
    for number in NUMBERS:
        tally.count(TOPICS.uploads, number)
        for topic in expected_topics(number, TOPICS):
            tally.count(topic, number)
    return tally


def test_each_input_with_exactly_its_outcomes_holds() -> None:
    tally = balanced_tally()
    assert tally.balance(NUMBERS).holds
    assert tally.finished == len(NUMBERS)


def test_a_record_without_outcome_is_lost() -> None:
    balance = balanced_tally().balance([*NUMBERS, 100])
    assert balance.lost == (100,)
    assert not balance.holds


def test_a_record_with_one_of_its_two_outcomes_is_lost() -> None:
    tally = Tally(TOPICS)
    tally.count(TOPICS.uploads, 0)
    tally.count(TOPICS.verdicts, 0)
    assert tally.balance([0]).lost == (0,)
    assert tally.finished == 0


def test_an_outcome_seen_twice_is_a_duplicate() -> None:
    tally = balanced_tally()
    tally.count(TOPICS.tags, 4)
    assert tally.balance(NUMBERS).duplicated == (4,)


def test_a_dead_letter_of_a_good_record_is_astray() -> None:
    tally = balanced_tally()
    tally.count(TOPICS.dead_letters, 5)
    assert tally.balance(NUMBERS).astray == (5,)


def test_an_input_published_twice_is_told_from_a_duplicate() -> None:
    tally = balanced_tally()
    tally.count(TOPICS.uploads, 9)
    balance = tally.balance(NUMBERS)
    assert (balance.fed_twice, balance.duplicated) == ((9,), ())


def test_the_workload_holds_every_kind_of_record() -> None:
    assert any(is_rejected(number) for number in NUMBERS)
    assert any(stumbles(number) and not is_rejected(number) for number in NUMBERS)
    assert {len(expected_topics(number, TOPICS)) for number in NUMBERS} == {1, 2}
