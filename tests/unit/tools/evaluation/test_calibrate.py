"""Labelled verdicts become the calibration of the engines that gave them, each kind of score by itself."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from schemas.outcome import ModelV1
from schemas.verdict import FirstPassV1, FrameScoresV1
from service.policy.calibration import read_calibration
from service.policy.policy import CategoryRule, Policy
from service.tools.evaluation.calibration.calibrate import (
    TooFewExamplesError,
    calibration_file,
    calibration_text,
    check_enough,
    fit_engines,
)
from service.tools.evaluation.calibration.label_prior import label_prior_effects
from service.tools.evaluation.calibration.report import calibration_report
from service.tools.evaluation.datasets.dataset import Dataset
from service.tools.evaluation.quality.outcomes import judged_example
from service.tools.evaluation.quality.predictions import Prediction
from service.tools.evaluation.report.page import html_of
from tests.unit.policy.policies import CHILD_RULE
from tests.unit.tools.evaluation.compared_predictions import prediction

HOSTILE = "<script>alert(1)</script>"


def judged(images: int, *, prompt: str | None = "11", asked: bool = False, seed: int = 0) -> list[Prediction]:
    """Return images with overconfident scores for weapons."""
    rng = np.random.default_rng(seed)
    truths = rng.uniform(0.05, 0.95, images)
    odds = (truths / (1.0 - truths)) ** 3
    found = []
    for number, (truth, score) in enumerate(zip(truths, odds / (1.0 + odds), strict=True)):
        label = "weapons" if rng.random() < truth else ""
        each = prediction(number, label, sha256=f"{prompt}/{seed}/{number}", weapons=float(score), violence=0.01)
        found.append(changed(each, prompt_hash=prompt, asked=("weapons",) if asked else ()))
    return found


def changed(each: Prediction, **fields: object) -> Prediction:
    assert each.verdict is not None
    return replace(each, verdict=each.verdict.model_copy(update=fields))


def dataset_of(predictions: Sequence[Prediction]) -> Dataset:
    return Dataset("labels.csv", [each.example for each in predictions])


def test_each_kind_of_score_has_a_map_of_its_own() -> None:
    predictions = [*judged(200), *judged(200, asked=True, seed=1)]
    (engine,) = fit_engines(dataset_of(predictions), predictions, seed=0)
    assert {*engine.fits} == {(name, kind) for name in ("violence", "weapons") for kind in ("list", "question")}
    assert {*engine.fitted()} == {("weapons", "list"), ("weapons", "question")}
    assert engine.entry().categories["violence"]["list"].method == "none"


def test_engines_and_prompts_are_kept_apart() -> None:
    predictions = [*judged(100), *judged(100, prompt="22"), *judged(100, prompt=None)]
    engines = fit_engines(dataset_of(predictions), predictions, seed=0)
    assert [each.scored_by.prompt_hash for each in engines] == ["11", "22", None]
    assert {kind for _, kind in engines[2].fits} == {"classifier"}


def test_what_a_first_pass_cleared_does_not_count() -> None:
    predictions, others = judged(200), judged(200, seed=1)
    model = ModelV1(name="small", revision="1")
    first_pass = FirstPassV1(decided=True, scores={}, clear_below={}, engine="openai", model=model, prompt_hash="11")
    cleared = [changed(each, first_pass=first_pass, model=model) for each in others]
    (engine,) = fit_engines(dataset_of([*predictions, *others]), [*predictions, *cleared], seed=0)
    assert engine == fit_engines(dataset_of(predictions), predictions, seed=0)[0]
    passed_on = [changed(each, first_pass=first_pass.model_copy(update={"decided": False})) for each in others]
    assert (
        fit_engines(dataset_of(others), passed_on, seed=0)[0].fits
        == fit_engines(dataset_of(others), others, seed=0)[0].fits
    )


def test_scores_before_an_earlier_calibration_are_fitted() -> None:
    predictions = judged(200)
    calibrated = [
        changed(each, uncalibrated=each.verdict.scores, scores={"weapons": 0.5, "violence": 0.5})
        for each in predictions
        if each.verdict is not None
    ]
    data = dataset_of(predictions)
    assert fit_engines(data, calibrated, seed=0)[0].fits == fit_engines(data, predictions, seed=0)[0].fits


def test_the_frame_with_the_highest_score_counts() -> None:
    predictions = judged(200)
    animated = [
        changed(
            each,
            frames=(
                FrameScoresV1(scores={"weapons": 0.0, "violence": 0.0}),
                FrameScoresV1(scores=each.verdict.scores, asked=("weapons",)),
            ),
        )
        for each in predictions
        if each.verdict is not None
    ]
    (engine,) = fit_engines(dataset_of(predictions), animated, seed=0)
    assert engine.fits["weapons", "question"].fitted.positives > 50
    assert engine.fits["weapons", "list"].fitted.positives == 0


def test_images_whose_labels_are_about_other_categories_do_not_count() -> None:
    predictions = judged(100)
    about_violence = [
        replace(each, example=replace(each.example, labelled=frozenset({"violence"}), categories=frozenset()))
        for each in judged(50, seed=1)
    ]
    (engine,) = fit_engines(dataset_of(predictions), [*predictions, *about_violence], seed=0)
    fitted = engine.fits["weapons", "list"].fitted
    assert fitted.positives + fitted.negatives == 100


def test_the_written_file_is_read_as_it_was_fitted(tmp_path: Path) -> None:
    predictions = judged(400)
    data = dataset_of(predictions)
    engines = fit_engines(data, predictions, seed=0)
    file = calibration_file(
        data, predictions, engines, name="shop", version="3", fitted_at=datetime(2026, 11, 29, 10, tzinfo=UTC)
    )
    path = tmp_path / "calibration.yaml"
    path.write_text(calibration_text(file))
    read = read_calibration(path)
    assert read.content == file
    assert read.for_engine(engines[0].scored_by, {"weapons", "violence"}, policy="shop").unasked["weapons"](0.99) < 0.95


@pytest.mark.parametrize(
    ("images", "wanted", "detail"),
    [
        (40, (), "for any category; each needs at least 32 positive and negative ones: .*weapons"),
        (300, ("violence",), r"for violence; .*violence \(list\): 0 positive and 0 negative"),
        (300, ("alcohol",), "the engine covers no such category"),
        (0, (), "no image was judged"),
    ],
)
def test_too_few_examples_are_refused_with_their_numbers(images: int, wanted: tuple[str, ...], detail: str) -> None:
    predictions = judged(images)
    data = dataset_of(predictions)
    with pytest.raises(TooFewExamplesError, match=detail):
        check_enough(data, fit_engines(data, predictions, seed=0), wanted)


def policy() -> Policy:
    rules = {"child_safety": CHILD_RULE, "weapons": CategoryRule(review=0.5), "violence": CategoryRule(review=0.5)}
    return Policy(name=HOSTILE, version="1", categories=rules)


def test_the_effect_of_the_labels_prior_is_stated_by_category() -> None:
    uniform, measured = judged(200), judged(200)
    data = dataset_of(uniform)
    lower = [changed(each, scores={"weapons": 0.4, "violence": 0.0}) for each in measured]
    both = {
        name: [judged_example(each.example, each.verdict, policy()) for each in some if each.verdict is not None]
        for name, some in (("uniform", uniform), ("measured", lower))
    }
    (effect,) = label_prior_effects(data, policy(), **both)
    assert (effect.category, effect.images) == ("weapons", 200)
    assert effect.uniform.recall.value is not None
    assert effect.uniform.recall.value > 0.5
    assert effect.measured.recall.value == 0.0
    assert "recall" in effect.sentence


def test_names_in_a_report_are_text() -> None:
    predictions = [changed(each, engine=HOSTILE) for each in judged(200)]
    data = replace(dataset_of(predictions), source=HOSTILE)
    engines = fit_engines(data, predictions, seed=0)
    file = calibration_file(data, predictions, engines, name="shop", version="3", fitted_at=datetime.now(UTC))
    page = html_of(calibration_report(file, engines))
    assert HOSTILE not in page
    assert "The largest calibration error falls from" in page
    assert "weapons (list)" in page


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [(0.2, 0.01, "falls from 0.200 to 0.010"), (0.001, 0.01, "rises from 0.001 to 0.010"), (0.01, 0.0101, "stays at")],
)
def test_an_error_that_does_not_fall_is_not_said_to(before: float, after: float, said: str) -> None:
    predictions = judged(200)
    data = dataset_of(predictions)
    (engine,) = fit_engines(data, predictions, seed=0)
    fits = {
        of: replace(fit, before=replace(fit.before, ece=before), after=replace(fit.after, ece=after))
        for of, fit in engine.fits.items()
        if fit.before is not None and fit.after is not None
    }
    engines = [replace(engine, fits=fits)]
    file = calibration_file(data, predictions, engines, name="shop", version="3", fitted_at=datetime.now(UTC))
    assert f"error {said}" in html_of(calibration_report(file, engines))
