"""A calibration file is read with the line of what is wrong, and counts for the engine that it was fitted on alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from service.policy.calibration import CalibratedEngine, Calibration, EngineCalibration, ScoredBy, read_calibration
from service.policy.errors import CalibrationFileError, CalibrationMismatchError
from service.policy.judged import JudgedFrame, JudgedImage, decide_image
from service.policy.policy import Policy
from service.policy.taxonomy import NAMES
from tests.unit.policy.policies import policies, shares

ENGINE = {
    "engine": "vllm",
    "model": "Qwen/Qwen3-VL-8B-Instruct-FP8",
    "revision": "abc",
    "adapter": None,
    "precision": "fp8",
    "prompt_hash": "11",
    "label_source": "exact",
    "scoring": "list-then-questions/1",
    "preprocessing": "1",
}
EVIDENCE = {"positives": 40, "negatives": 90, "ece_before": 0.2, "ece_after": 0.02}
MAPS = {
    "list": {"method": "none", "positives": 3, "negatives": 90, "reason": "too few examples"},
    "question": {"method": "temperature", "temperature": 2.0, **EVIDENCE},
}


def content(**changes: object) -> dict[str, Any]:
    return {
        "format": "modstream-calibration/1",
        "name": "shop",
        "version": "3",
        "fitted_at": "2026-11-29T10:00:00Z",
        "fitted_on": {"dataset": "photos", "images": 130, "sha256": "0" * 64},
        "engines": [{**ENGINE, "categories": {"weapons": MAPS, "violence": MAPS}}],
        **changes,
    }


def written(folder: Path, document: Mapping[str, object]) -> Path:
    path = folder / "calibration.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


@pytest.fixture
def calibration(tmp_path: Path) -> Calibration:
    return read_calibration(written(tmp_path, content()))


def test_each_score_is_mapped_by_its_category_and_kind(calibration: Calibration) -> None:
    engine = calibration.for_engine(ScoredBy(**ENGINE), {"weapons", "violence"}, policy="default")
    scores = {"weapons": 0.8, "violence": 0.8}
    image = JudgedImage((JudgedFrame(scores, frozenset({"weapons"})), JudgedFrame(scores)), frozenset({"weapons"}))
    first, second = engine.applied(image).frames
    assert first.scores == {"weapons": pytest.approx(2 / 3), "violence": 0.8}
    assert second.scores == scores
    assert first.asked == {"weapons"}
    assert first.uncalibrated == second.uncalibrated == scores
    assert engine.applied(image).hints == {"weapons"}


def test_verdicts_name_the_file_by_name_version_and_checksum(calibration: Calibration) -> None:
    engine = calibration.for_engine(ScoredBy(**ENGINE), {"weapons"}, policy="default")
    assert engine.file.startswith("shop/3 sha256:")
    assert len(engine.file) == len("shop/3 sha256:") + 64


def test_a_classifier_needs_no_map_for_questions(tmp_path: Path) -> None:
    classifier = {**ENGINE, "engine": "onnx", "prompt_hash": None, "label_source": None}
    maps = {"weapons": {"classifier": MAPS["question"]}}
    calibration = read_calibration(written(tmp_path, content(engines=[{**classifier, "categories": maps}])))
    engine = calibration.for_engine(ScoredBy(**classifier), {"weapons"}, policy="default")
    (frame,) = engine.applied(JudgedImage((JudgedFrame({"weapons": 0.8}),))).frames
    assert frame.scores == {"weapons": pytest.approx(2 / 3)}


@pytest.mark.parametrize("field", [*ENGINE])
def test_another_engine_is_refused_with_both_values(calibration: Calibration, field: str) -> None:
    running = ScoredBy(**{**ENGINE, field: "other"})
    with pytest.raises(CalibrationMismatchError) as caught:
        calibration.for_engine(running, {"weapons"}, policy="shop")
    assert f"{field} is 'other', and {ENGINE[field]!r} in the nearest entry" in str(caught.value)
    assert "policy 'shop'" in str(caught.value)
    assert "modstream calibrate" in str(caught.value)


def test_the_nearest_of_several_entries_is_named(tmp_path: Path) -> None:
    far = {**ENGINE, "model": "m", "revision": "r", "categories": {"weapons": MAPS}}
    near = {**ENGINE, "prompt_hash": "22", "categories": {"weapons": MAPS}}
    calibration = read_calibration(written(tmp_path, content(engines=[far, near])))
    with pytest.raises(CalibrationMismatchError, match=r"engine: prompt_hash is '11', and '22' in the nearest entry\."):
        calibration.for_engine(ScoredBy(**ENGINE), {"weapons"}, policy="shop")


def test_an_engine_that_covers_more_categories_is_refused(calibration: Calibration) -> None:
    with pytest.raises(CalibrationMismatchError, match=r"lacks maps \(list, question\) for alcohol"):
        calibration.for_engine(ScoredBy(**ENGINE), {"weapons", "alcohol"}, policy="default")


def test_a_category_without_a_map_for_each_kind_is_refused(tmp_path: Path) -> None:
    half = {"weapons": {"question": MAPS["question"]}}
    calibration = read_calibration(written(tmp_path, content(engines=[{**ENGINE, "categories": half}])))
    with pytest.raises(CalibrationMismatchError, match="for weapons"):
        calibration.for_engine(ScoredBy(**ENGINE), {"weapons"}, policy="default")


def test_a_wrong_parameter_is_reported_with_its_line(tmp_path: Path) -> None:
    document = content()
    document["engines"][0]["categories"] = {"weapons": {**MAPS, "question": {**MAPS["question"], "temperature": -1}}}
    path = written(tmp_path, document)
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if "temperature: -1" in text)
    with pytest.raises(CalibrationFileError, match=rf"line {line}: .*policy\.calibration"):
        read_calibration(path)


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"format": "modstream-calibration/2"}, "'modstream-calibration/1'"),
        ({"engines": []}, "at least 1 item"),
        ({"engines": content()["engines"] * 2}, "two entries are for the same engine"),
        ({"name": "../etc"}, "name"),
        ({"more": 1}, "more"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, changes: dict[str, object], detail: str) -> None:
    with pytest.raises(CalibrationFileError, match=detail):
        read_calibration(written(tmp_path, content(**changes)))


def test_a_policy_in_place_of_a_calibration_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(CalibrationFileError, match="this looks like a policy and not like a calibration"):
        read_calibration(written(tmp_path, {"name": "shop", "version": "1", "categories": {}}))


def test_a_missing_file_is_reported_with_its_setting(tmp_path: Path) -> None:
    with pytest.raises(CalibrationFileError, match=r"No such file.*policy\.calibration"):
        read_calibration(tmp_path / "none.yaml")


@st.composite
def rising_maps(draw: st.DrawFn) -> dict[str, dict[str, object]]:
    """Return a map of any method for each kind of score of each category."""
    method = draw(st.sampled_from(("temperature", "platt", "isotonic")))
    slope, places = draw(st.floats(0.01, 100.0)), sorted(draw(st.sets(st.floats(0.0, 1.0), min_size=2, max_size=6)))
    probabilities = sorted(draw(st.lists(st.floats(0.0, 1.0), min_size=len(places), max_size=len(places))))
    parameters: dict[str, dict[str, object]] = {
        "temperature": {"temperature": slope},
        "platt": {"slope": slope, "intercept": draw(st.floats(-20.0, 20.0))},
        "isotonic": {"knots": [*zip(places, probabilities, strict=True)]},
    }
    return {kind: {"method": method, **parameters[method], **EVIDENCE} for kind in ("list", "question")}


SEVERITY = {"allow": 0, "review": 1, "block": 2}


@given(policies(), rising_maps(), st.dictionaries(st.sampled_from(NAMES), shares, min_size=1), st.data())
def test_a_higher_score_never_gets_a_milder_decision_through_a_calibration(
    policy: Policy, maps: dict[str, dict[str, object]], scores: dict[str, float], data: st.DataObject
) -> None:
    entry = CalibratedEngine.model_validate({**ENGINE, "categories": dict.fromkeys(scores, maps)})
    calibration = EngineCalibration("shop/1", entry.maps_of("list"), entry.maps_of("question"))
    asked = data.draw(st.frozensets(st.sampled_from(sorted(scores))))
    raised = data.draw(st.sampled_from(sorted(scores)))
    higher = {**scores, raised: data.draw(st.floats(scores[raised], 1.0))}
    before, after = (
        decide_image(policy, calibration.applied(JudgedImage((JudgedFrame(each, asked),)))).result.decision
        for each in (scores, higher)
    )
    assert SEVERITY[before] <= SEVERITY[after]
