"""The questions about a labelled image are those of the engine, with the right answers."""

from dataclasses import replace
from typing import Any

from service.core.instructions import Attribute, AttributeSchema, CategoryDefinition, ModelInstructions
from service.inference.vision.prompt import prompter
from service.tools.finetuning.image_questions import LabelledImage, QuestionWriter, confusable
from testing.tiny_model.shapes import INSTRUCTIONS

NAMES = ("weapons", "alcohol", "gambling", "violence")
SCHEMA = AttributeSchema(
    "test/1",
    (
        Attribute("background", "b", "How bright?", ("light", "dark")),
        Attribute("colours", "c", "Which colours?", ("red", "blue", "green"), most=2),
        Attribute("slogan", "t", "A slogan"),
    ),
)
PROMPTER = prompter(
    ModelInstructions(tuple(CategoryDefinition(name, f"It shows {name}.") for name in NAMES), attributes=SCHEMA)
)
WRITER = QuestionWriter(PROMPTER)


def image(*shown: str, absent: tuple[str, ...] | None = None, **fields: Any) -> LabelledImage:
    known = frozenset(NAMES if absent is None else absent) - {*shown}
    given: dict[str, Any] = {"is_harmless": not shown, "sha256": "ab" * 32} | fields
    return LabelledImage(
        "images/ab/x.png", "1", group="g", split="train", shown=frozenset(shown), absent=known, **given
    )


def answers(of: LabelledImage, writer: QuestionWriter = WRITER) -> dict[str, object]:
    return {question.text: question.targets or question.answer for question in writer.questions(of)}


def is_it(category: str, caption: str | None = None) -> str:
    return PROMPTER.is_it(caption, category).question


def test_the_list_s_answer_is_shared_by_the_labels_of_all_that_is_shown() -> None:
    assert answers(image("alcohol"))[PROMPTER.which(None).question] == {"C": 1.0}
    assert answers(image("alcohol", "weapons"))[PROMPTER.which(None).question] == {"B": 0.5, "C": 0.5}
    assert answers(image())[PROMPTER.which(None).question] == {"A": 1.0}


def test_the_list_is_not_asked_about_an_image_of_which_too_little_is_known() -> None:
    assert PROMPTER.which(None).question not in answers(image(absent=("weapons",), is_harmless=False))


def test_each_category_that_is_shown_is_a_yes_and_two_others_are_a_no() -> None:
    found = answers(image("alcohol"))
    assert found[is_it("alcohol")] == {"yes": 1.0}
    assert [found.get(is_it(name)) for name in NAMES].count({"no": 1.0}) == 2


def test_nothing_is_asked_about_categories_that_nothing_is_known_of() -> None:
    found = answers(image("alcohol", absent=()))
    assert [*found] == [PROMPTER.which(None).question, is_it("alcohol")]


def test_what_a_verdict_took_the_image_for_is_asked_first() -> None:
    scores = {"gambling": 0.4, "violence": 0.9, "weapons": 0.05, "alcohol": 1.0}
    found = answers(image("alcohol", scores=scores))
    assert {name for name in NAMES if found.get(is_it(name)) == {"no": 1.0}} == {"violence", "gambling"}


def test_what_verdicts_confuse_with_a_category_is_asked_about_its_other_images() -> None:
    confused = confusable([image("alcohol", scores={"gambling": 0.3}), image(scores={"weapons": 0.2})])
    assert confused == {"alcohol": ["gambling"], "none": ["weapons"]}
    for number in range(20):
        found = answers(image("alcohol", sha256=f"{number:064x}"), replace(WRITER, confusable=confused))
        assert found[is_it("gambling")] == {"no": 1.0}


def test_a_caption_stands_in_every_question_as_the_engine_quotes_it() -> None:
    assert is_it("alcohol", "A <b>toast</b>") in answers(image("alcohol", caption="A <b>toast</b>"))
    assert "‹b›" in is_it("alcohol", "A <b>toast</b>")


def test_tags_are_the_json_that_the_model_writes() -> None:
    tags = {"background": {"dark"}, "colours": {"blue", "red"}, "slogan": {"Cheers"}}
    found = answers(image("alcohol", tags={name: frozenset(values) for name, values in tags.items()}))
    assert found[PROMPTER.describe(None).question] == '{"b":"dark","c":["red","blue"],"t":"Cheers"}'


def test_tags_with_a_missing_or_invalid_value_are_not_asked_about() -> None:
    right = {"background": frozenset({"dark"}), "colours": frozenset({"red"}), "slogan": frozenset({"Cheers"})}
    wrong: tuple[dict[str, frozenset[str]], ...] = (
        {"slogan": frozenset()},
        {"background": frozenset({"mauve"})},
        {"background": frozenset({"light", "dark"})},
        {"colours": frozenset({"red", "blue", "green"})},
    )
    for change in wrong:
        assert PROMPTER.describe(None).question not in answers(image(tags=right | change))


def test_the_words_are_those_of_the_policy_s_language() -> None:
    chinese = QuestionWriter(prompter(replace(INSTRUCTIONS, language="zh")))
    words = {word for question in chinese.questions(image("alcohol")) for word in question.targets}
    assert {"是", "否"} < words
