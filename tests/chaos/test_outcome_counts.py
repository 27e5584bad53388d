"""The judge of the chaos runs, judged: it must see every way in which a run can fail."""

from service.settings.delivery import TopicSettings
from testing.chaos.outcome_counts import OutcomeCounts
from testing.chaos.workload import expected_topics, is_rejected, stumbles

TOPICS = TopicSettings()
NUMBERS = range(100)


def balanced_counts() -> OutcomeCounts:
    counts = OutcomeCounts(TOPICS)
    for number in NUMBERS:
        counts.count(TOPICS.uploads, number)
        for topic in expected_topics(number, TOPICS):
            counts.count(topic, number)
    return counts


def test_each_input_with_exactly_its_outcomes_holds() -> None:
    counts = balanced_counts()
    assert counts.balance(NUMBERS).holds
    assert counts.finished == len(NUMBERS)


def test_a_record_without_outcome_is_lost() -> None:
    balance = balanced_counts().balance([*NUMBERS, 100])
    assert balance.lost == (100,)
    assert not balance.holds


def test_a_record_with_one_of_its_two_outcomes_is_lost() -> None:
    counts = OutcomeCounts(TOPICS)
    counts.count(TOPICS.uploads, 0)
    counts.count(TOPICS.verdicts, 0)
    assert counts.balance([0]).lost == (0,)
    assert counts.finished == 0


def test_an_outcome_seen_twice_is_a_duplicate() -> None:
    counts = balanced_counts()
    counts.count(TOPICS.tags, 4)
    assert counts.balance(NUMBERS).duplicated == (4,)


def test_a_dead_letter_of_a_good_record_is_astray() -> None:
    counts = balanced_counts()
    counts.count(TOPICS.dead_letters, 5)
    assert counts.balance(NUMBERS).astray == (5,)


def test_an_input_published_twice_is_distinguished_from_a_duplicate() -> None:
    counts = balanced_counts()
    counts.count(TOPICS.uploads, 9)
    balance = counts.balance(NUMBERS)
    assert (balance.fed_twice, balance.duplicated) == ((9,), ())


def test_the_workload_holds_every_kind_of_record() -> None:
    assert any(is_rejected(number) for number in NUMBERS)
    assert any(stumbles(number) and not is_rejected(number) for number in NUMBERS)
    assert {len(expected_topics(number, TOPICS)) for number in NUMBERS} == {1, 2}
