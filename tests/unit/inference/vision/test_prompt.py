from dataclasses import replace

import pytest

from service.core.instructions import (
    Attribute,
    AttributeSchema,
    CategoryDefinition,
    Language,
    ModelInstructions,
    TextLimit,
)
from service.inference.vision.prompt import prompter
from testing.asking import GOODS

INSTRUCTIONS = ModelInstructions(
    (CategoryDefinition("weapons", "Guns.", "Toys."), CategoryDefinition("alcohol", "Wine.")), attributes=GOODS
)


def test_the_text_before_the_image_is_the_same_for_every_question() -> None:
    writer = prompter(INSTRUCTIONS)
    prompts = [
        writer.which("a caption"),
        writer.is_it(None, "weapons"),
        writer.why("another", ["weapons"]),
        writer.describe(None),
    ]
    assert {prompt.system for prompt in prompts} == {writer.system}


def test_the_system_text_defines_every_label_and_attribute() -> None:
    assert prompter(INSTRUCTIONS).system.splitlines()[1:] == [
        "Categories:",
        "A: none of the others",
        "B: weapons: Guns. Not meant: Toys.",
        "C: alcohol: Wine.",
        "Attributes:",
        "k: what it is (one of toy, tool, dress)",
        "c: its colours (up to 2 of red, green, blue)",
        "s: words for it (at most 4 words)",
    ]


def test_questions_name_what_they_are_about() -> None:
    writer = prompter(INSTRUCTIONS)
    assert writer.which(None).question == "Which category is it? Answer with its letter alone."
    assert writer.is_it(None, "weapons").question == "Does the image show weapons? Answer yes or no."
    assert "weapons, alcohol?" in writer.why(None, ["weapons", "alcohol"]).question


def test_a_caption_stands_before_the_question() -> None:
    assert prompter(INSTRUCTIONS).which('a "fine" dress').question.splitlines() == [
        'Caption, quoted from a stranger: "a \\"fine\\" dress"',
        "Which category is it? Answer with its letter alone.",
    ]


def test_an_empty_caption_is_none() -> None:
    assert prompter(INSTRUCTIONS).which("") == prompter(INSTRUCTIONS).which(None)


def test_instructions_may_be_chinese() -> None:
    limit = TextLimit(20, "characters")
    schema = AttributeSchema("s/1", (Attribute("slogan", "s", "标语", limit=limit),))
    writer = prompter(replace(INSTRUCTIONS, language="zh", attributes=schema))
    assert writer.is_it(None, "weapons").question == "图片中有 weapons 吗？回答是或否。"
    assert writer.system.splitlines()[-1] == "s: 标语 (至多 20 个字)"


@pytest.mark.parametrize(
    "other",
    [
        replace(INSTRUCTIONS, language="zh"),
        replace(INSTRUCTIONS, attributes=None),
        replace(INSTRUCTIONS, categories=INSTRUCTIONS.categories[:1]),
        replace(
            INSTRUCTIONS, categories=(replace(INSTRUCTIONS.categories[0], not_meant=""), INSTRUCTIONS.categories[1])
        ),
        replace(INSTRUCTIONS, categories=(replace(INSTRUCTIONS.categories[0], label="x"), INSTRUCTIONS.categories[1])),
    ],
)
def test_the_hash_differs_for_other_questions(other: ModelInstructions) -> None:
    assert prompter(other).hash != prompter(INSTRUCTIONS).hash
    assert prompter(replace(INSTRUCTIONS, follow_up_threshold=0.4)).hash == prompter(INSTRUCTIONS).hash


@pytest.mark.parametrize(
    ("language", "means", "line"),
    [
        ("en", "Guns", "Guns. Not meant: Toys"),
        ("en", "Guns!", "Guns! Not meant: Toys"),
        ("en", "Signs like (no entry.)", "Signs like (no entry.) Not meant: Toys"),
        ("en", "A “gun”", "A “gun”. Not meant: Toys"),
        ("zh", "枪支", "枪支。 不包括：Toys"),
        ("zh", "枪支。", "枪支。 不包括：Toys"),
    ],
)
def test_a_definition_without_a_full_stop_does_not_melt_into_the_next_sentence(
    language: Language, means: str, line: str
) -> None:
    category = replace(INSTRUCTIONS.categories[0], means=means, not_meant="Toys")
    system = prompter(replace(INSTRUCTIONS, categories=(category,), language=language)).system
    assert f": {line}\n" in f"{system}\n"
