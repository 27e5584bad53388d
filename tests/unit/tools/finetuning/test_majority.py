"""What several people decide together, and who decides otherwise."""

import time

from service.tools.finetuning.majority import ReviewerRecords, majority
from service.tools.finetuning.review_store import Vote


def vote(reviewer: str, **answers: str) -> Vote:
    return Vote(reviewer, answers)  # type: ignore[arg-type]  # texts of the tests are answers


def test_most_people_decide_and_a_tie_leaves_the_category_unknown() -> None:
    votes = [vote("a", x="yes", y="yes", z="no"), vote("b", x="yes", y="no", z="unsure"), vote("c", x="no")]
    outcome = majority(votes)
    assert (outcome.yes, outcome.no, outcome.ties) == (frozenset("x"), frozenset("z"), frozenset("y"))


def test_who_is_unsure_does_not_count() -> None:
    outcome = majority([vote("a", x="unsure"), vote("b", x="unsure")])
    assert (outcome.yes, outcome.no, outcome.ties) == (frozenset(), frozenset(), frozenset())


def test_a_person_who_decides_otherwise_than_most_is_named() -> None:
    records = ReviewerRecords()
    for number in range(20):
        right = "yes" if number % 2 else "no"
        wrong = "no" if number % 2 else "yes"
        records.add([vote("good", x=right), vote("fine", x=right), vote("bad", x=wrong)])
    assert records.by_reviewer["bad"].agreement == 0.0
    # The others of whom each of the two is right are one right and one wrong.
    assert records.by_reviewer["good"].agreement is None
    assert records.concerns() == ["bad agrees with most others in 0% of 20 decisions"]


def test_one_person_who_decides_nearly_all_is_named() -> None:
    records = ReviewerRecords()
    for _ in range(30):
        records.add([vote("busy", x="no")])
    for _ in range(5):
        records.add([vote("other", x="no")])
    assert records.concerns() == ["busy alone decided about 30 images, more than half of those with a single review"]


def test_a_category_whose_every_yes_is_one_person_s_is_named() -> None:
    records = ReviewerRecords()
    for _ in range(12):
        records.add([vote("a", x="yes"), vote("b", y="no")])
    assert records.concerns() == ["every yes of x is a's (12 images)"]


def test_one_person_who_decides_everything_is_named() -> None:
    records = ReviewerRecords()
    records.add([vote("a", x="yes")])
    assert records.concerns() == ["every decision is a's, and no other person looked at any image"]


def test_thousands_of_reviews_of_one_image_are_counted_at_once() -> None:
    records = ReviewerRecords()
    began_s = time.process_time()
    records.add([vote(f"reviewer-{number}", x="yes" if number % 3 else "no") for number in range(9_999)])
    assert time.process_time() - began_s < 10.0  # comparing each with each takes minutes
    assert (records.by_reviewer["reviewer-0"].agreement, records.by_reviewer["reviewer-1"].agreement) == (0.0, 1.0)
