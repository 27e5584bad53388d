import pytest

from service.core.instructions import CategoryDefinition, ModelInstructions
from service.inference.errors import LabelCollisionError, TooManyCategoriesError
from service.inference.vision.labels import (
    MAX_CATEGORIES,
    NONE,
    check_first_tokens,
    label_map,
    label_map_hash,
    labelled,
)


def instructions(**labels: str | None) -> ModelInstructions:
    return ModelInstructions(tuple(CategoryDefinition(name, "x", label=label) for name, label in labels.items()))


def numbered(count: int) -> ModelInstructions:
    return ModelInstructions(tuple(CategoryDefinition(f"c{number}", "x") for number in range(count)))


def test_categories_take_letters_after_that_of_none() -> None:
    assert label_map(instructions(weapons=None, alcohol=None)) == {"A": NONE, "B": "weapons", "C": "alcohol"}


def test_a_label_of_its_own_is_kept_free_for_its_category() -> None:
    assert label_map(instructions(weapons=None, alcohol="B")) == {"A": NONE, "C": "weapons", "B": "alcohol"}


@pytest.mark.parametrize("labels", [{"weapons": "A"}, {"weapons": "gun", "alcohol": "gun"}])
def test_two_categories_with_one_label_are_refused(labels: dict[str, str]) -> None:
    with pytest.raises(LabelCollisionError):
        label_map(instructions(**labels))


def test_there_are_as_many_categories_as_letters() -> None:
    assert len(label_map(numbered(MAX_CATEGORIES))) == MAX_CATEGORIES + 1
    with pytest.raises(TooManyCategoriesError):
        label_map(numbered(MAX_CATEGORIES + 1))


def test_labels_that_begin_with_one_token_are_refused_by_name() -> None:
    labels = label_map(instructions(weapons="gun", alcohol="gum"))
    check_first_tokens(labels, {"A": 1, "gun": 2, "gum": 3})
    with pytest.raises(LabelCollisionError, match=r"weapons and alcohol .*'gum'"):
        check_first_tokens(labels, {"A": 1, "gun": 2, "gum": 2})


def test_the_checksum_changes_with_what_a_label_stands_for() -> None:
    maps = [
        label_map(instructions(a=None, b=None)),
        label_map(instructions(b=None, a=None)),
        label_map(instructions(a=None, b="x")),
    ]
    assert len({label_map_hash(labels) for labels in maps}) == 3
    assert label_map_hash(maps[0]) == label_map_hash(label_map(instructions(a=None, b=None)))


def test_categories_are_told_with_their_labels_in_the_briefs_order() -> None:
    asked = instructions(weapons="x", alcohol=None)
    assert [(label, category.name) for label, category in labelled(asked, label_map(asked))] == [
        ("x", "weapons"),
        ("B", "alcohol"),
    ]
