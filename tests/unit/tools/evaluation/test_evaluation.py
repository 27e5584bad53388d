"""The figures of a whole evaluation, against those by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from service.policy.definitions import Definition
from service.policy.policy import CategoryRule, Policy
from service.tools.evaluation.datasets.dataset import Example
from service.tools.evaluation.quality.evaluation import Evaluation, Question, evaluate
from service.tools.evaluation.quality.predictions import Prediction, Timing, seconds_an_image
from service.tools.evaluation.quality.requirements import RequirementError, check_requirements, parse_requirement
from service.tools.evaluation.quality.tag_scores import tag_metrics
from tests.unit.tools.evaluation.predicted import dataset, example, prediction, seen

POLICY = Policy(
    name="shop",
    version="3",
    categories={
        "child_safety": CategoryRule(review=0.1),
        "weapons": CategoryRule(review=0.5, block=0.9),
        "alcohol": CategoryRule(label=0.5),
        "violence": CategoryRule(label=0.3, review=0.6),
        "toys": CategoryRule(review=0.5, definition=Definition(means="A toy.")),
    },
)
SAFE = {"child_safety": 0.0, "weapons": 0.1, "alcohol": 0.1, "violence": 0.1}


def evaluated(predictions: Sequence[Prediction], **fields: Any) -> Evaluation:
    examples = [each.example for each in predictions]
    return evaluate(
        Question(dataset(*examples), "onnx tiny", POLICY, lambda _: POLICY, resamples=50, **fields), predictions
    )


def judged(image: Example, **scores: float) -> Prediction:
    return prediction(image, SAFE | scores)


def test_the_policy_s_thresholds_decide_what_is_flagged() -> None:
    found = evaluated(
        [
            judged(example("a", "weapons"), weapons=0.5),
            judged(example("b", "weapons"), weapons=0.49),
            judged(example("c"), weapons=0.95),
            judged(example("d")),
        ]
    ).categories["weapons"]
    assert found.thresholds == {"review": 0.5, "block": 0.9}
    assert found.metrics.figures["recall"].value == 0.5
    assert found.metrics.figures["precision"].value == 0.5
    assert found.metrics.figures["false_positive_rate"].value == 0.5


def test_a_label_flags_where_the_policy_has_no_other_threshold() -> None:
    categories = evaluated(
        [
            judged(example("a", "alcohol", "violence"), alcohol=0.6, violence=0.4),
            judged(example("b")),
        ]
    ).categories
    assert categories["alcohol"].metrics.figures["recall"].value == 1.0
    assert categories["violence"].metrics.figures["recall"].value == 0.0


def test_a_category_that_the_engine_does_not_cover_is_undefined() -> None:
    found = evaluated([judged(example("a", "toys")), judged(example("b"))]).categories["toys"].metrics
    assert {each.undefined for each in found.figures.values()} == {"the engine does not cover it"}


def test_a_category_without_a_threshold_has_curves_alone() -> None:
    images = [judged(example("a", "gambling"), gambling=0.8), judged(example("b"), gambling=0.1)]
    found = evaluated(images).categories["gambling"].metrics.figures
    assert found["average_precision"].value == 1.0
    assert found["recall"].undefined == "the policy has no threshold for it"


def test_images_whose_labels_are_not_about_a_category_do_not_count_for_it() -> None:
    found = evaluated(
        [
            judged(example("a", "weapons"), weapons=0.9),
            judged(example("b", labelled=frozenset({"alcohol"})), weapons=0.9),
            judged(example("c"), weapons=0.1),
        ]
    )
    assert found.categories["weapons"].metrics.images == 2
    assert found.categories["weapons"].metrics.figures["precision"].value == 1.0


def test_what_was_not_judged_is_counted_by_its_reason() -> None:
    unjudged = prediction(example("b"), {})
    found = evaluated([judged(example("a", "weapons")), unjudged, prediction(example("c"))])
    assert (found.images, found.moderated) == (3, 2)
    assert found.failures == {"image.corrupt": 1}
    assert found.all_images["judged_share"].value == pytest.approx(2 / 3)


def test_figures_of_whole_images_are_those_by_hand() -> None:
    found = evaluated(
        [
            judged(example("a", "weapons"), weapons=0.9),
            judged(example("b", "weapons", "violence"), weapons=0.9),
            judged(example("c", "violence"), weapons=0.9),
            judged(example("d")),
        ]
    ).all_images
    assert found["exact_match"].value == 0.5
    assert found["recall"].value == 1.0
    assert found["false_positive_rate"].value == 0.0


def test_the_confusion_counts_what_is_shown_against_what_is_found_first() -> None:
    found = evaluated(
        [
            judged(example("a", "weapons"), weapons=0.9),
            judged(example("b", "weapons"), violence=0.9),
            judged(example("c", "violence"), weapons=0.55, violence=0.9),
            judged(example("d", "violence")),
            judged(example("e"), weapons=0.6),
            judged(example("f", "weapons", "violence"), weapons=0.6),
        ]
    ).confusion
    assert list(found.names) == ["none", "violence", "weapons"]
    assert [list(row) for row in found.counts] == [[0, 0, 1], [1, 1, 0], [0, 1, 1]]
    assert found.several == 1


def test_slices_have_figures_of_their_own() -> None:
    found = evaluated(
        [
            judged(example("a", "weapons", tenant="shop", columns={"country": "DE", "id": "1"}), weapons=0.9),
            judged(example("b", "weapons", tenant="forum", columns={"country": "DE", "id": "2"})),
            judged(example("c", tenant="forum", columns={"country": "FR", "id": "3"})),
        ]
    ).categories["weapons"]
    recall = {
        column: {value: each.figures["recall"].value for value, each in values.items()}
        for column, values in found.slices.items()
    }
    assert recall["tenant"] == {"shop": 1.0, "forum": 0.0}
    assert recall["country"] == {"DE": 0.5, "FR": None}


def test_a_column_with_too_many_values_is_named_and_no_slice() -> None:
    images = [judged(example(str(number), "weapons", columns={"id": str(number)})) for number in range(21)]
    found = evaluated(images)
    assert list(found.too_many_values) == ["id"]
    assert found.categories["weapons"].slices == {}


def tag_figures(right: Mapping[str, set[str]], answered: Mapping[str, Sequence[str]]) -> Mapping[str, Any]:
    image = example("a", tags={name: frozenset(values) for name, values in right.items()})
    found = tag_metrics([prediction(image, SAFE, tags=seen(answered))], resamples=10)
    return {name: (each.figures["exact"].value, each.figures["overlap"].value) for name, each in found.items()}


def test_tags_are_scored_exactly_by_overlap_and_by_attribute() -> None:
    right = {"colours": {"red", "blue"}, "category": {"toys"}}
    found = tag_figures(right, {"colours": ["red", "green"], "category": ["toys"]})
    assert found["category"] == (1.0, 1.0)
    assert found["colours"] == (0.0, pytest.approx(1 / 3))
    assert found["all"] == (0.0, pytest.approx((1 + 1 / 3) / 2))


def test_an_attribute_without_an_answer_is_wrong_unless_there_is_nothing_to_say() -> None:
    right: Sequence[tuple[set[str], Sequence[str]]] = [({"red"}, ["red"]), ({"blue"}, []), (set(), [])]
    images = [
        prediction(example(str(number), tags={"colours": frozenset(wanted)}), SAFE, tags=seen({"colours": answer}))
        for number, (wanted, answer) in enumerate(right)
    ]
    figures = tag_metrics(images, resamples=10)["colours"].figures
    assert figures["exact"].value == pytest.approx(2 / 3)
    assert figures["overlap"].value == pytest.approx(2 / 3)


@pytest.mark.parametrize("answer", [{}, {"category": ["toys"]}])
def test_an_attribute_that_the_engine_never_answers_is_undefined(answer: Mapping[str, Sequence[str]]) -> None:
    image = example("a", tags={"colours": frozenset({"red"}), "category": frozenset({"toys"})})
    found = tag_metrics([prediction(image, SAFE, tags=seen(answer))], resamples=10)
    assert found["colours"].figures["exact"].undefined == "the engine never answers it"
    assert (found["all"].figures["exact"].value is None) == (not answer)


def test_images_without_right_tags_or_without_any_are_left_out() -> None:
    with_tags = example("a", tags={"colours": frozenset({"red"})})
    assert tag_metrics([prediction(with_tags, SAFE), prediction(example("b"), SAFE, tags=seen({}))]) == {}


def test_the_time_of_an_image_is_that_of_all_runs_by_image() -> None:
    timings = [Timing("one", 1.0), Timing("one", 3.0), Timing("two", 2.0), Timing("two", 1.0)]
    images = [prediction(example(str(number)), SAFE, timing=each) for number, each in enumerate(timings)]
    assert seconds_an_image(images) == (3.0 + 2.0) / 4
    assert seconds_an_image([prediction(example("c"))]) is None


@pytest.mark.parametrize(
    ("text", "met", "value"),
    [
        ("weapons.recall>=0.5", True, 0.5),
        ("weapons.recall>0.5", False, 0.5),
        ("weapons.recall_high >= 0.9", True, None),
        ("weapons.recall_low>=0.9", False, None),
        ("images.judged_share<1", True, 2 / 3),
        ("seconds_an_image<=2", True, 0.5),
        ("tags.colours.exact>=0.5", False, None),
        ("alcohol.recall>=0", False, None),
    ],
)
def test_requirements_are_checked(text: str, met: bool, value: float | None) -> None:
    evaluation = evaluated(
        [
            judged(example("a", "weapons"), weapons=0.9),
            judged(example("b", "weapons")),
            prediction(example("c")),
        ]
    )
    (checked,) = check_requirements([parse_requirement(text, set(POLICY.names))], evaluation)
    assert checked.met is met
    if value is not None:
        assert checked.found == pytest.approx(value)


def test_a_requirement_of_an_undefined_figure_is_not_met_and_says_why() -> None:
    evaluation = evaluated([judged(example("a", "weapons")), judged(example("b", "weapons"))])
    requirement = parse_requirement("weapons.false_positive_rate<=1", set(POLICY.names))
    (checked,) = check_requirements([requirement], evaluation)
    assert (checked.met, checked.found, checked.undefined) == (False, None, "every image of the dataset shows it")


@pytest.mark.parametrize(
    "text",
    ["weapons.recall", "weapons>=0.9", "wepons.recall>=0.9", "weapons.accuracy>=1", "images.f1>=1", "tags.a.f1>=1", ""],
)
def test_what_is_no_requirement_is_an_error(text: str) -> None:
    with pytest.raises(RequirementError):
        parse_requirement(text, set(POLICY.names))
