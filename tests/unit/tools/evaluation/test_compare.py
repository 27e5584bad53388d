from collections.abc import Sequence
from typing import Any

import pytest

from service.policy.policy import CategoryRule, Policy
from service.tools.evaluation.quality.compare import Comparison, DifferentExamplesError, Side, compare, sentence_of
from service.tools.evaluation.quality.predictions import Prediction
from tests.unit.tools.evaluation.compared_predictions import prediction

POLICY = Policy(
    name="shop",
    version="1",
    categories={
        "child_safety": CategoryRule(review=0.1),
        "weapons": CategoryRule(review=0.5),
        "violence": CategoryRule(review=0.5),
    },
)


def side(name: str, predictions: Sequence[Prediction]) -> Side:
    return Side(name, predictions, lambda example: POLICY)


def weapons(right: Sequence[bool], **changes: Any) -> list[Prediction]:
    """Return images that show weapons, which are judged right or not, and as many that show nothing."""
    shown = [prediction(n, "weapons", weapons=0.9 if hit else 0.1, **changes) for n, hit in enumerate(right)]
    return [*shown, *(prediction(100 + n, "", weapons=0.2, **changes) for n in range(len(right)))]


def both(first: Sequence[Prediction], second: Sequence[Prediction]) -> Comparison:
    return compare(side("a.jsonl", first), side("b.jsonl", second))


def test_images_that_only_one_has_right_are_tested_by_category_and_as_wholes() -> None:
    found = both(weapons([False] * 10 + [True] * 2), weapons([True] * 12))
    (only,) = found.categories
    assert (only.category, only.images, only.positives) == ("weapons", 24, 12)
    assert (only.test.only_first, only.test.only_second) == (0, 10)
    assert only.p_corrected == only.test.p_value == pytest.approx(2 / 1024)
    assert only.figures["recall"].difference == pytest.approx(10 / 12)
    assert found.overall == only.test
    assert sentence_of(found).startswith("The second is better: of 24 images, 0 are labelled right by the first alone")


def test_a_small_difference_is_not_called_one() -> None:
    found = both(weapons([False] + [True] * 9), weapons([True] * 10))
    assert sentence_of(found).startswith("No difference is proven")


def test_p_values_are_corrected_for_the_number_of_categories() -> None:
    shown = [prediction(n, "weapons violence", weapons=0.1, violence=0.9) for n in range(10)]
    better = [prediction(n, "weapons violence", weapons=0.9, violence=0.9) for n in range(10)]
    found = {each.category: each for each in both(shown, better).categories}
    assert found["weapons"].p_corrected == pytest.approx(2 * found["weapons"].test.p_value)
    assert found["violence"].p_corrected == 1.0


def test_images_that_one_did_not_judge_are_left_out_and_counted() -> None:
    second = weapons([True] * 3)
    second[0] = prediction(0, "weapons", status="not_moderated")
    found = both(weapons([True] * 3), second)
    assert (found.images, found.not_judged) == (5, (0, 1))


def test_a_category_that_one_does_not_cover_is_named_and_not_compared() -> None:
    first = [prediction(1, "weapons violence", weapons=0.9, violence=0.9)]
    second = [prediction(1, "weapons violence", weapons=0.9)]
    found = both(first, second)
    assert [each.category for each in found.categories] == ["weapons"]
    assert found.not_compared == ("violence",)
    assert found.overall.p_value == 1.0


def test_images_count_once_by_their_last_line() -> None:
    first = [prediction(1, "weapons", weapons=0.1), prediction(1, "weapons", weapons=0.9)]
    assert both(first, [prediction(1, "weapons", weapons=0.9)]).overall.only_second == 0


DIFFERENT = [
    ([prediction(2, "weapons", weapons=0.9)], "1 images only in the first, such as 1.jpg; 1 images only in the second"),
    ([prediction(1, "violence", weapons=0.9)], "1 images with other labels, such as 1.jpg"),
    ([prediction(1, "weapons", weapons=0.9, sha256="11")], "1 images with other contents"),
    ([], "1 images only in the first"),
]


@pytest.mark.parametrize(("second", "message"), DIFFERENT)
def test_files_about_different_examples_are_refused_with_how_many_differ(
    second: list[Prediction], message: str
) -> None:
    with pytest.raises(DifferentExamplesError, match=f"a.jsonl and b.jsonl cannot be compared: {message}"):
        both([prediction(1, "weapons", weapons=0.9)], second)


def test_weighted_examples_are_refused() -> None:
    weighted = [prediction(1, "weapons", weapons=0.9, weight=2.0)]
    with pytest.raises(DifferentExamplesError, match="with a weight"):
        both(weighted, weighted)


def test_nothing_that_both_judged_is_refused() -> None:
    unjudged = [prediction(1, "weapons", status="not_moderated")]
    with pytest.raises(DifferentExamplesError, match="no image was judged by both"):
        both(unjudged, unjudged)
