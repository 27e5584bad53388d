"""Every figure against numbers computed by hand, or by scikit-learn."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import average_precision_score, roc_auc_score

from service.tools.evaluation.quality import cells
from service.tools.evaluation.quality.calibration_error import reliability
from service.tools.evaluation.quality.curves import curve
from service.tools.evaluation.quality.metrics import FIGURES, CategoryMetrics, category_metrics
from service.tools.evaluation.quality.outcomes import Outcomes


def outcomes(
    truth: list[int], scores: list[float], *, threshold: float = 0.5, weights: list[float] | None = None
) -> Outcomes:
    score = np.array(scores)
    return Outcomes(np.array(truth, dtype=np.bool_), score, score >= threshold, np.array(weights or [1.0] * len(truth)))


def values(metrics: CategoryMetrics) -> dict[str, float | None]:
    return {name: figure.value for name, figure in metrics.figures.items()}


# Three positives, of which two are flagged; five negatives, of which one is.
TRUTH = [1, 1, 1, 0, 0, 0, 0, 0]
SCORES = [0.9, 0.8, 0.3, 0.7, 0.2, 0.1, 0.1, 0.0]


def test_figures_at_the_threshold_are_those_of_the_counts() -> None:
    found = category_metrics(outcomes(TRUTH, SCORES))
    assert (found.images, found.positives, found.true_positives, found.false_positives) == (8, 3, 2, 1)
    assert found.figures["precision"].value == pytest.approx(2 / 3)
    assert found.figures["recall"].value == pytest.approx(2 / 3)
    assert found.figures["f1"].value == pytest.approx(2 / 3)
    assert found.figures["false_positive_rate"].value == pytest.approx(1 / 5)


def test_figures_over_all_thresholds_are_those_by_hand() -> None:
    found = category_metrics(outcomes(TRUTH, SCORES))
    # Positives stand at places 1, 2 and 4 of the ranking, and 14 of 15 pairs are in the right order.
    assert found.figures["average_precision"].value == pytest.approx((1 / 1 + 2 / 2 + 3 / 4) / 3)
    assert found.figures["roc_auc"].value == pytest.approx(14 / 15)


def test_the_calibration_error_is_the_one_by_hand() -> None:
    # Two bins, as there are two scores: of 0.2 a quarter is positive, of 0.6 three quarters.
    found = category_metrics(outcomes([1, 0, 0, 0, 1, 1, 1, 0], [0.2] * 4 + [0.6] * 4))
    assert found.figures["calibration_error"].value == pytest.approx((4 * 0.05 + 4 * 0.15) / 8)


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_scikit_learns_on_random_scores_with_ties_and_weights(seed: int) -> None:
    rng = np.random.default_rng(seed)
    score, truth, weight = rng.integers(0, 12, 200) / 11, rng.random(200) < 0.3, rng.uniform(0.5, 3, 200)
    found = category_metrics(Outcomes(truth, score, score >= 0.5, weight), resamples=10)
    expected = average_precision_score(truth, score, sample_weight=weight)
    assert found.figures["average_precision"].value == pytest.approx(expected)
    assert found.figures["roc_auc"].value == pytest.approx(roc_auc_score(truth, score, sample_weight=weight))


def test_weights_stand_for_as_many_images() -> None:
    weighted = category_metrics(outcomes([1, 1, 0], [0.9, 0.1, 0.6], weights=[1.0, 3.0, 2.0]))
    repeated = category_metrics(outcomes([1, 1, 1, 1, 0, 0], [0.9, 0.1, 0.1, 0.1, 0.6, 0.6]))
    names = [name for name in FIGURES if name != "calibration_error"]
    assert [weighted.figures[name].value for name in names] == pytest.approx(
        [repeated.figures[name].value for name in names]
    )


def test_without_positives_what_needs_them_is_undefined_and_says_so() -> None:
    found = category_metrics(outcomes([0, 0, 0], [0.9, 0.1, 0.1]))
    undefined = {name: figure.undefined for name, figure in found.figures.items() if figure.value is None}
    assert undefined == dict.fromkeys(
        ("recall", "f1", "average_precision", "roc_auc"), "no image of the dataset shows it"
    )
    assert found.figures["false_positive_rate"].value == pytest.approx(1 / 3)
    assert found.figures["precision"].value == 0.0


def test_without_negatives_what_needs_them_is_undefined_and_says_so() -> None:
    found = category_metrics(outcomes([1, 1], [0.9, 0.1]))
    undefined = {name: figure.undefined for name, figure in found.figures.items() if figure.value is None}
    assert undefined == dict.fromkeys(("false_positive_rate", "roc_auc"), "every image of the dataset shows it")
    assert found.figures["recall"].value == 0.5


def test_precision_of_nothing_flagged_is_undefined_and_recall_is_zero() -> None:
    found = category_metrics(outcomes([1, 0], [0.1, 0.1]))
    assert found.figures["precision"].undefined == "the engine flags no image for it"
    assert (found.figures["recall"].value, found.figures["f1"].value) == (0.0, 0.0)


def test_equal_scores_distinguish_nothing() -> None:
    found = category_metrics(outcomes([1, 0, 0, 0], [0.5] * 4))
    assert found.figures["roc_auc"].value == 0.5
    assert found.figures["average_precision"].value == 0.25


def test_no_image_at_all_leaves_everything_undefined() -> None:
    found = category_metrics(outcomes([], []))
    assert {figure.undefined for figure in found.figures.values()} == {"no image was judged for it"}


def test_intervals_hold_their_figure_and_are_the_same_every_time() -> None:
    first, second = (category_metrics(outcomes(TRUTH, SCORES), resamples=500) for _ in range(2))
    assert first == second
    for figure in first.figures.values():
        assert figure.low is not None
        assert figure.value is not None
        assert figure.high is not None
        assert 0.0 <= figure.low <= figure.value <= figure.high <= 1.0


def test_a_perfect_score_on_few_images_is_no_certainty() -> None:
    found = category_metrics(outcomes([1] * 5 + [0] * 5, [0.9] * 5 + [0.1] * 5))
    # Clopper and Pearson: five of five say that at least 0.025 ** (1 / 5) are right.
    for name in ("recall", "precision", "f1", "average_precision", "roc_auc"):
        assert found.figures[name].value == 1.0
        assert found.figures[name].low == pytest.approx(0.025 ** (1 / 5))
    assert found.figures["false_positive_rate"].high == pytest.approx(1 - 0.025 ** (1 / 5))


@pytest.mark.parametrize("uploads", [False, True], ids=["a-third-shows-it", "a-sample-of-uploads"])
def test_intervals_cover_the_true_figures_about_as_often_as_they_claim(uploads: bool) -> None:
    rng = np.random.default_rng(0)

    def sample(images: int) -> Outcomes:
        truth = rng.random(images) < 1 / 3 if uploads else np.arange(images) % 3 == 0
        score = np.clip(rng.normal(0.35 + 0.3 * truth, 0.2), 0, 1)
        return Outcomes(truth, score, score >= 0.5, np.ones(images))

    names = ("precision", "recall", "f1", "false_positive_rate", "average_precision", "roc_auc")
    true = category_metrics(sample(200_000), resamples=1).figures
    held = Counter[str]()
    for _ in range(150):
        found = category_metrics(sample(150), resamples=150).figures
        for name in names:
            low, value, high = found[name].low, true[name].value, found[name].high
            assert low is not None
            assert value is not None
            assert high is not None
            held[name] += low <= value <= high
    assert {name: held[name] for name in names if held[name] < 0.88 * 150} == {}


def test_the_precision_of_a_sample_of_uploads_is_as_uncertain_as_the_number_of_positives_in_it() -> None:
    rng = np.random.default_rng(0)
    held = Counter[str]()
    for seed in range(150):
        truth = rng.random(200) < 0.1
        score = np.where(rng.random(200) < np.where(truth, 0.98, 0.2), 0.8, 0.2)
        found = category_metrics(Outcomes(truth, score, score >= 0.5, np.ones(200)), resamples=150, seed=seed).figures
        for name, true in (("precision", 0.098 / 0.278), ("f1", 0.196 / 0.378)):
            low, high = found[name].low, found[name].high
            assert low is not None
            assert high is not None
            held[name] += low <= true <= high
    assert min(held.values()) >= 0.88 * 150


def test_the_curve_has_a_point_for_every_score() -> None:
    points = curve(outcomes([1, 0, 1, 0], [0.9, 0.5, 0.5, 0.1]))
    assert [(each.threshold, each.precision, each.recall, each.false_positive_rate) for each in points] == [
        (0.9, 1.0, 0.5, 0.0),
        (0.5, pytest.approx(2 / 3), 1.0, 0.5),
        (0.1, 0.5, 1.0, 1.0),
    ]


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    score = np.linspace(0, 1, 5000)
    points = curve(Outcomes(np.arange(5000) % 2 == 0, score, score >= 0.5, np.ones(5000)))
    assert len(points) == 200
    assert (points[0].threshold, points[-1].threshold) == (1.0, 0.0)


@pytest.mark.parametrize("truth", [[1, 1], [0, 0]])
def test_there_is_no_curve_of_one_class(truth: list[int]) -> None:
    assert curve(outcomes(truth, [0.2, 0.7])) == ()


def test_the_calibration_error_is_that_of_the_reliability_diagram() -> None:
    rng = np.random.default_rng(0)
    score, truth, weight = rng.random(500).round(2), rng.random(500) < 0.3, rng.uniform(0.5, 3, 500)
    found = category_metrics(Outcomes(truth, score, score >= 0.5, weight), resamples=10)
    expected = reliability(score, truth, weights=weight).ece
    assert found.figures["calibration_error"].value == pytest.approx(expected)


def test_intervals_of_many_scores_are_those_of_every_single_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(3000) < 0.3
    score = np.clip(rng.normal(0.35 + 0.3 * truth, 0.2), 0, 1)
    many = Outcomes(truth, score, score >= 0.5, np.ones(3000))
    coarse = category_metrics(many, resamples=400)
    monkeypatch.setattr(cells, "_SCORES", 10_000)
    fine = category_metrics(many, resamples=400)
    for name in ("precision", "recall", "average_precision", "roc_auc"):
        assert coarse.figures[name].value == fine.figures[name].value
        assert coarse.figures[name].low == pytest.approx(fine.figures[name].low, abs=0.01)
        assert coarse.figures[name].high == pytest.approx(fine.figures[name].high, abs=0.01)


def test_intervals_are_those_of_scipy_s_bootstrap() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(2000) < 0.2
    score = np.clip(rng.normal(0.35 + 0.3 * truth, 0.2), 0, 1)

    drawn = bootstrap(
        (truth, score),
        average_precision_score,
        n_resamples=400,
        paired=True,
        vectorized=False,
        method="percentile",
        rng=0,
    )
    figure = category_metrics(Outcomes(truth, score, score >= 0.5, np.ones(2000))).figures["average_precision"]
    assert figure.low == pytest.approx(drawn.confidence_interval.low, abs=0.008)
    assert figure.high == pytest.approx(drawn.confidence_interval.high, abs=0.008)
