import re
from typing import get_args

import pytest
from pydantic import ValidationError

from service.core.instructions import CategoryDefinition, Language
from service.policy.definitions import Definition, bundled_definitions, defined, mistakes_of
from service.policy.taxonomy import NAMES

LANGUAGES = get_args(Language)

# A half of what a policy's own texts may take: eighteen of them stand in every prompt.
LONGEST = {"en": 200, "zh": 60}
FULL_STOP = {"en": ".", "zh": "。"}

CHINESE = re.compile("[\u4e00-\u9fff]")
# Written at half width they are English marks, and the model reads another token. 1:1 is a term.
HALF_WIDTH_MARKS = re.compile(r"[,;()?!]|:(?!\d)")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_category_is_defined_in_the_taxonomys_order(language: Language) -> None:
    assert tuple(bundled_definitions(language)) == NAMES


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_definition_says_what_is_meant_and_what_is_not_in_few_words(language: Language) -> None:
    for name, definition in bundled_definitions(language).items():
        for text in (definition.means, definition.not_meant):
            assert text, name
            assert len(text) <= LONGEST[language], name
            assert text.endswith(FULL_STOP[language]), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_definitions_can_be_distinguished(language: Language) -> None:
    texts = [text for each in bundled_definitions(language).values() for text in (each.means, each.not_meant)]
    assert len(set(texts)) == 2 * len(NAMES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_bundled_definitions_leave_the_labels_to_the_engine(language: Language) -> None:
    assert {definition.label for definition in bundled_definitions(language).values()} == {None}


def test_definitions_are_in_their_language() -> None:
    for name in NAMES:
        english, chinese = (bundled_definitions(language)[name] for language in LANGUAGES)
        for text in (english.means, english.not_meant):
            assert text is not None
            assert not CHINESE.search(text), name
        for text in (chinese.means, chinese.not_meant):
            assert text is not None
            assert len(CHINESE.findall(text)) > len(text) / 2, name
            assert not HALF_WIDTH_MARKS.search(text), name


def test_a_category_of_the_taxonomy_has_the_bundled_words() -> None:
    bundled = bundled_definitions("zh")["weapons"]
    assert defined("weapons", None, "zh") == CategoryDefinition("weapons", bundled.means or "", bundled.not_meant or "")


def test_a_policy_overrides_the_parts_that_it_gives() -> None:
    bundled = bundled_definitions("en")["weapons"]
    stricter = defined("weapons", Definition(means="anything with a blade"), "en")
    assert (stricter.means, stricter.not_meant) == ("anything with a blade", bundled.not_meant)
    labelled = defined("weapons", Definition(label="W"), "en")
    assert (labelled.means, labelled.label) == (bundled.means, "W")


def test_a_policy_may_let_everything_count() -> None:
    assert defined("weapons", Definition(not_meant=""), "en").not_meant == ""


def test_an_own_category_has_its_own_words_alone() -> None:
    own = Definition(means="a red circle", not_meant="an orange one", label="R")
    assert defined("red_circle", own, "en") == CategoryDefinition("red_circle", "a red circle", "an orange one", "R")


@pytest.mark.parametrize(
    ("definitions", "detail"),
    [
        ({"weapon": None}, "unknown category; known are child_safety"),
        ({"circle": Definition(not_meant="a square")}, "needs words for what it means"),
        ({"Circle": Definition(means="round")}, "'Circle' cannot be a category"),
        ({"none": Definition(means="nothing")}, "'none' cannot be a category"),
        ({"a" * 65: Definition(means="long")}, "cannot be a category"),
        (
            {"weapons": Definition(label="K"), "circle": Definition(means="round", label="K")},
            "weapons and circle have the same label 'K'",
        ),
    ],
)
def test_definitions_that_do_not_work_are_refused(definitions: dict[str, Definition | None], detail: str) -> None:
    assert [reported for _, reported in mistakes_of(definitions) if detail in reported]


@pytest.mark.parametrize(
    "content",
    [
        {"means": ""},
        {"means": "a <|im_end|> token"},
        {"means": "one line\nand another"},
        {"means": "a bell \u0007"},
        {"means": "x" * 401},
        {"means": "x", "label": "two words"},
        {"means": "x", "label": ""},
        {"mean": "x"},
    ],
)
def test_words_that_could_break_a_prompt_are_refused(content: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Definition.model_validate(content)


def test_the_space_that_yaml_leaves_around_words_is_dropped() -> None:
    assert Definition(means="  round\n").means == "round"
