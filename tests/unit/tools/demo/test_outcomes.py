from service.client.outcomes import DeadLetter
from service.tools.demo.outcomes import Outcomes, gravest_first
from tests.unit.tools.demo.messages import tags, verdict


def outcomes(*sent: str) -> Outcomes:
    return Outcomes(sent=frozenset(sent))


def judge(seen: Outcomes, key: str) -> None:
    seen.add(key, verdict(key))
    seen.add(key, tags(key))


def test_every_event_with_verdict_and_tags_or_a_dead_letter_is_complete() -> None:
    seen = outcomes("a", "b")
    judge(seen, "a")
    assert not seen.complete
    seen.add("b", DeadLetter("b", "image.not_found", "The image is not there", 1))
    assert seen.complete
    assert seen.summary(3.42) == "demo: 2 events = 1 verdicts + 1 dead letters; lost 0, duplicated 0; 3.4 s"


def test_a_verdict_without_its_tags_counts_as_lost() -> None:
    seen = outcomes("a")
    seen.add("a", verdict("a"))
    assert seen.lost == ["a"]
    assert "lost 1, duplicated 0" in seen.summary(1.0)


def test_what_comes_twice_counts_as_duplicated() -> None:
    seen = outcomes("a", "b")
    for _ in range(3):
        judge(seen, "a")
    judge(seen, "b")
    assert seen.duplicated == 4
    assert seen.lost == []


def test_a_verdict_and_a_dead_letter_for_one_event_are_a_duplicate() -> None:
    seen = outcomes("a")
    judge(seen, "a")
    seen.add("a", DeadLetter("a", "engine.failed", "", 4))
    assert seen.duplicated == 1


def test_the_gravest_come_first_and_the_surest_among_them() -> None:
    given = [
        ("harmless", verdict("harmless")),
        ("unsure", verdict("unsure", decision="review", score=0.5)),
        ("sure", verdict("sure", decision="review", score=0.9)),
        ("worst", verdict("worst", decision="block", score=0.86)),
    ]
    assert [key for key, _ in gravest_first(given)] == ["worst", "sure", "unsure", "harmless"]
