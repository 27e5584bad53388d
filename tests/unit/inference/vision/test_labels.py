import pytest

from service.core.instructions import CategoryDefinition, ModelInstructions
from service.inference.errors import LabelCollisionError, TooManyCategoriesError
from service.inference.vision.labels import (
    MAX_CATEGORIES,
    NO_FORMS,
    NONE,
    YES_FORMS,
    check_first_tokens,
    forms,
    label_map,
    label_map_hash,
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


class TestYesAndNo:
    def test_every_form_counts_for_its_answer_and_each_token_once(self) -> None:
        tokens = {"yes": 1, "Yes": 2, "YES": 2, " yes": 3, " Yes": 4, "是": 5, "有": 6, "对": 7}
        tokens |= {"no": 11, "No": 12, "NO": 12, " no": 13, " No": 14, "没有": 15, "不是": 16, "否": 17}
        yes, no = forms({**tokens, "不": 16, "没": 18, "无": 19}, yes="yes", no="no")
        assert sorted(yes.values()) == list(range(1, 8))
        assert sorted(no.values()) == list(range(11, 20))
        assert (yes["Yes"], no["No"]) == (2, 12)

    def test_a_token_that_begins_both_answers_counts_for_neither(self) -> None:
        tokens = {form: ord(form[0]) for form in (*YES_FORMS, *NO_FORMS)}
        yes, no = forms(tokens, yes="是", no="否")
        assert set(yes) == {"yes", "Yes", "是", "有", "对"}
        assert set(no) == {"no", "No", "没有", "不是", "否", "无"}

    def test_the_words_that_are_asked_for_have_to_differ(self) -> None:
        tokens = dict.fromkeys((*YES_FORMS, *NO_FORMS), 1)
        with pytest.raises(LabelCollisionError):
            forms(tokens, yes="yes", no="no")

    def test_a_word_that_is_asked_for_keeps_its_token(self) -> None:
        tokens = {form: number for number, form in enumerate((*YES_FORMS, *NO_FORMS))}
        yes, no = forms({**tokens, "无": tokens["yes"]}, yes="yes", no="no")
        assert "yes" in yes
        assert "无" not in no
