from typing import Any

import pytest
from hypothesis import given

from service.core.instructions import Attribute, AttributeSchema, Language
from service.inference.vision.prompt import prompter
from service.policy.loader import load_policies
from service.policy.policy import Policy
from service.policy.taxonomy import CHILD_SAFETY, NAMES
from service.settings.settings import PolicySettings
from tests.unit.policy.policies import policies
from tests.unit.policy.test_policy import build

OWN: dict[str, Any] = {"rival_brand": {"review": 0.5, "definition": {"means": "the brand of a rival", "label": "Z"}}}


def test_categories_are_asked_for_in_the_taxonomys_order_and_then_the_files() -> None:
    first = {"dull_photo": {"definition": {"means": "a dull photo"}}}
    instructions = build(categories=first | {"alcohol": {}} | OWN | {"violence": {}}).instructions
    assert [category.name for category in instructions.categories] == [
        CHILD_SAFETY,
        "violence",
        "alcohol",
        "dull_photo",
        "rival_brand",
    ]
    assert instructions.categories[-1].label == "Z"


def test_categories_without_a_rule_are_not_asked_for() -> None:
    assert [category.name for category in build().instructions.categories] == [CHILD_SAFETY]


@pytest.mark.parametrize(("language", "word"), [("en", "firearms"), ("zh", "枪支")])
def test_definitions_and_attributes_are_in_the_policys_language(language: Language, word: str) -> None:
    instructions = build(language=language, categories={"weapons": {"review": 0.5}}).instructions
    assert instructions.language == language
    assert word in instructions.categories[1].means
    assert instructions.attributes is not None
    assert instructions.attributes.attributes[0].values[0] == {"en": "clothing", "zh": "服装"}[language]


def test_how_closely_and_by_which_adapter_is_the_policys_word() -> None:
    instructions = build(vision_tokens=1024, adapter="shop").instructions
    assert (instructions.vision_tokens, instructions.adapter) == (1024, "shop")


def test_tags_are_a_products_unless_the_policy_says_otherwise() -> None:
    own = AttributeSchema("shapes/1", (Attribute("shape", "s", "its shape", ("circle", "square")),))
    asked = [build(**content).instructions.attributes for content in ({}, {"attributes": None}, {"attributes": own})]
    assert [schema and schema.name for schema in asked] == ["product/1", None, "shapes/1"]


@pytest.mark.parametrize(
    ("rules", "threshold"),
    [
        ({}, 0.05),
        ({"weapons": {"review": 0.06}}, 0.03),
        ({"weapons": {"block": 0.04}}, 0.02),
        ({"weapons": {"label": 0.02}}, 0.01),
        ({"weapons": {"review": 0.0}}, 0.001),
        ({CHILD_SAFETY: {"review": 0.5}}, 0.25),
    ],
)
def test_further_questions_begin_at_half_of_the_lowest_threshold(rules: dict[str, Any], threshold: float) -> None:
    assert build(categories=rules).instructions.follow_up_threshold == pytest.approx(threshold)


@given(policies())
def test_what_gets_no_further_question_reaches_no_threshold(policy: Policy) -> None:
    threshold = policy.instructions.follow_up_threshold
    bounds = [bound for rule in policy.categories.values() for _, bound in rule.thresholds()]
    assert 0.0 < threshold <= 0.5
    assert all(threshold < bound for bound in bounds if bound > 0.001)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_bundled_policy_asks_for_everything_in_a_prompt_of_bounded_length(language: Language) -> None:
    policy = Policy.model_validate(dict(load_policies(PolicySettings()).default) | {"language": language})
    system = prompter(policy.instructions).system
    assert all(f": {name}: " in system for name in NAMES)
    # By the vocabulary of Qwen 4.4 characters a token in English and 1.5 in Chinese: about 1,100 and 1,200 tokens.
    assert len(system) <= {"en": 5000, "zh": 2000}[language]


def test_the_prompt_shows_a_changed_definition_and_the_rules_do_not() -> None:
    plain, changed = (
        build(categories={"weapons": {"review": 0.5}}),
        build(categories={"weapons": {"review": 0.5, "definition": {"means": "a sword"}}}),
    )
    assert plain.hash == changed.hash
    assert prompter(plain.instructions).hash != prompter(changed.instructions).hash
