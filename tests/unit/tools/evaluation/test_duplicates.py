import pytest

from service.tools.evaluation.datasets.duplicates import ContradictingLabelsError, SplitLeakError, without_repeats
from tests.unit.tools.evaluation.predicted import dataset, example, picture


def test_pictures_that_differ_are_all_kept() -> None:
    first, second = example("a", "weapons"), example("b")
    kept, repeats = without_repeats(dataset(first, second), [picture(first, "1"), picture(second, "2")])
    assert [each.example for each in kept] == [first, second]
    assert repeats == []


def test_a_picture_with_the_same_labels_counts_once_and_is_listed() -> None:
    first, second = example("a", "weapons"), example("b", "weapons")
    kept, repeats = without_repeats(dataset(first, second), [picture(first, "1"), picture(second, "1")])
    assert [each.example for each in kept] == [first]
    assert [(each.example, each.first) for each in repeats] == [(second, first)]


def test_labels_that_contradict_each_other_name_both_images_and_places() -> None:
    first, second, third = example("a", "weapons"), example("b"), example("c", "alcohol")
    pictures = [picture(each, "1") for each in (first, second, third)]
    with pytest.raises(ContradictingLabelsError) as raised:
        without_repeats(dataset(first, second, third), pictures)
    assert str(raised.value) == (
        "a and b are the same picture, and the labels differ: weapons (labels.csv, a), none (labels.csv, b); "
        "1 more such pairs: correct the labels, or remove one"
    )


def test_labels_about_different_categories_do_not_contradict_each_other() -> None:
    first = example("a", "weapons", labelled=frozenset({"weapons"}))
    second = example("b", labelled=frozenset({"alcohol"}))
    _, repeats = without_repeats(dataset(first, second), [picture(first, "1"), picture(second, "1")])
    assert len(repeats) == 1


def test_different_tags_contradict_each_other() -> None:
    first = example("a", tags={"colours": frozenset({"red"})})
    second = example("b", tags={"colours": frozenset({"blue"})})
    with pytest.raises(ContradictingLabelsError, match="none; colours: red"):
        without_repeats(dataset(first, second), [picture(first, "1"), picture(second, "1")])


def test_another_caption_makes_another_example() -> None:
    first, second = example("a", "weapons", caption="a toy"), example("b", caption="a joke")
    kept, _ = without_repeats(dataset(first, second), [picture(first, "1"), picture(second, "1")])
    assert len(kept) == 2


def test_a_picture_in_two_splits_names_both() -> None:
    first, second = example("a", split="train"), example("b", split="test", caption="new")
    with pytest.raises(SplitLeakError) as raised:
        without_repeats(dataset(first, second), [picture(first, "1"), picture(second, "1")])
    assert "a (labels.csv, a) and b (labels.csv, b) are the same picture, one in the split train" in str(raised.value)


def test_an_image_without_a_split_leaks_into_none() -> None:
    first, second = example("a"), example("b", split="test")
    _, repeats = without_repeats(dataset(first, second), [picture(first, "1"), picture(second, "1")])
    assert len(repeats) == 1
