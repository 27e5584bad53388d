"""What labels say for certain."""

from service.tools.finetuning.known_labels import KnownLabels, known_labels
from tests.unit.tools.evaluation.predicted import dataset, example, picture

NAMES = frozenset({"weapons", "alcohol", "gambling"})


def known(of: str, *others: str, labelled: tuple[str, ...] | None = None, **scores: float) -> KnownLabels:
    """Return what is known of an image beside others with these labels; an empty label shows nothing."""
    asked = None if labelled is None else frozenset(labelled)
    examples = [example(str(n), *filter(None, [each]), labelled=asked) for n, each in enumerate((of, *others))]
    return known_labels(dataset(*examples), picture(examples[0], "1"), NAMES, scores)


def test_an_image_shows_its_labels_and_none_of_the_others_that_the_data_is_about() -> None:
    found = known("weapons", "alcohol")
    assert (found.shown, found.absent, found.is_harmless) == (frozenset({"weapons"}), frozenset({"alcohol"}), False)


def test_the_label_none_makes_an_image_harmless() -> None:
    assert known("", "alcohol").is_harmless


def test_categories_that_a_reviewer_did_not_look_for_stay_unknown() -> None:
    found = known("weapons", labelled=("weapons", "alcohol"))
    assert (found.shown, found.absent) == (frozenset({"weapons"}), frozenset({"alcohol"}))


def test_an_image_is_harmless_if_every_category_of_the_data_is_a_no() -> None:
    assert known("", "weapons", labelled=("weapons",)).is_harmless
    assert not known("", "weapons", "alcohol", labelled=("weapons",)).is_harmless


def test_an_image_is_not_harmless_if_a_verdict_speaks_for_what_was_not_looked_for() -> None:
    assert not known("", "weapons", labelled=("weapons",), gambling=0.8).is_harmless
    assert known("", "weapons", labelled=("weapons",), weapons=0.8).is_harmless


def test_a_category_without_a_question_is_no_harmless_image() -> None:
    found = known("nudity", "weapons")
    assert (found.shown, found.is_harmless) == (frozenset(), False)
