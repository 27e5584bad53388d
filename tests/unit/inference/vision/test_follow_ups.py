from dataclasses import replace

import pytest

from service.core.instructions import CategoryDefinition, ModelInstructions
from service.inference.vision.follow_ups import follow_ups, shares_by_category
from service.inference.vision.labels import label_map
from service.inference.vision.scores import LabelReading
from service.settings.engine import JudgingSettings

INSTRUCTIONS = ModelInstructions(
    tuple(CategoryDefinition(name, name) for name in ("a", "b", "c", "d", "e", "f")), follow_up_threshold=0.1
)
SETTINGS = JudgingSettings(noticeable_share=0.01, max_follow_ups=3)


def shares(**given: float) -> dict[str, float]:
    return {category.name: given.get(category.name, 0.0) for category in INSTRUCTIONS.categories}


def test_an_image_that_looks_harmless_is_asked_nothing_more() -> None:
    assert follow_ups(INSTRUCTIONS, shares(a=0.05, b=0.04), SETTINGS) == ()


def test_categories_that_are_suspicious_together_are_asked_about() -> None:
    assert follow_ups(INSTRUCTIONS, shares(a=0.05, b=0.06), SETTINGS) == ("b", "a")


def test_what_is_next_to_nothing_is_not_asked_about() -> None:
    assert follow_ups(INSTRUCTIONS, shares(a=0.9, b=0.009, c=0.011), SETTINGS) == ("a", "c")


def test_no_more_is_asked_than_the_limit_and_the_gravest_goes_first_among_equals() -> None:
    assert follow_ups(INSTRUCTIONS, shares(b=0.1, c=0.2, d=0.1, e=0.1, f=0.1), SETTINGS) == ("c", "b", "d", "a")


def test_the_likeliest_is_asked_about_where_none_is_noticeable() -> None:
    instructions, settings = replace(INSTRUCTIONS, follow_up_threshold=0.001), replace_share(0.5)
    assert follow_ups(instructions, shares(a=0.01, b=0.02), settings) == ("b", "a")


def replace_share(share: float) -> JudgingSettings:
    return SETTINGS.model_copy(update={"noticeable_share": share})


def test_the_gravest_is_asked_about_although_another_leaves_it_next_to_nothing() -> None:
    assert follow_ups(INSTRUCTIONS, shares(a=0.001, b=0.99), SETTINGS) == ("b", "a")


@pytest.mark.parametrize("threshold", [0.2, 0.100001])
def test_the_instructions_say_from_which_share_on_further_questions_are_asked(threshold: float) -> None:
    assert follow_ups(replace(INSTRUCTIONS, follow_up_threshold=threshold), shares(a=0.1), SETTINGS) == ()


def test_shares_are_reported_by_category_without_that_of_none() -> None:
    labels = label_map(INSTRUCTIONS)
    reading = LabelReading({label: place / 21 for place, label in enumerate(labels)}, mass=1.0)
    assert shares_by_category(labels, reading) == {name: (place + 1) / 21 for place, name in enumerate("abcdef")}


def test_a_category_may_be_called_none() -> None:
    instructions = ModelInstructions((CategoryDefinition("none", "nothing"),))
    reading = LabelReading({"A": 0.25, "B": 0.75}, mass=1.0)
    assert shares_by_category(label_map(instructions), reading) == {"none": 0.75}
