"""How much a question counts."""

from service.tools.finetuning.image_questions import Question
from service.tools.finetuning.weights import LEAST, MOST, balance


def which(*names: str) -> Question:
    return Question("which", "Which?", balanced_as=names)


def test_categories_come_to_count_alike_within_bounds() -> None:
    questions = [*[which("none")] * 60, *[which("weapons")] * 30]
    balanced = balance(questions)
    assert 60 * balanced.weight(which("none")) == 30 * balanced.weight(which("weapons"))


def test_a_weight_stays_within_its_bounds_however_rare_a_category_is() -> None:
    questions = [*[which("none")] * 10_000, which("weapons")]
    balanced = balance(questions)
    assert balanced.weight(which("weapons")) / balanced.weight(which("none")) <= MOST / LEAST


def test_the_weights_of_each_kind_have_the_mean_1() -> None:
    questions = [
        *[which("none")] * 50,
        *[which("weapons", "alcohol")] * 7,
        *[Question("is_it", "", balanced_as=("weapons/yes",))] * 9,
        *[Question("is_it", "", balanced_as=("weapons/no",))] * 40,
        *[Question("describe", "", answer="{}")] * 3,
    ]
    balanced = balance(questions)
    for kind in ("which", "is_it", "describe"):
        weights = [balanced.weight(question) for question in questions if question.kind == kind]
        assert abs(sum(weights) / len(weights) - 1.0) < 1e-9


def test_yes_and_no_of_a_category_count_alike() -> None:
    yes, no = (Question("is_it", "", balanced_as=(f"weapons/{answer}",)) for answer in ("yes", "no"))
    balanced = balance([*[yes] * 10, *[no] * 30])
    assert abs(10 * balanced.weight(yes) - 30 * balanced.weight(no)) < 1e-9
