"""From labelled image files to a calibrated service and solved thresholds, with a real classifier and real decoders."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.policy.calibration import read_calibration
from service.policy.policy_file import check_policy
from service.policy.score_maps import Uncalibrated
from service.tools.evaluation.quality.prediction_file import read_predictions
from tests.unit.inference.onnx.models import entry, write_catalogue, write_mean_model

IMAGES = 400
SIDE = 8
OVERCONFIDENCE = 3.0
"""The log odds of scores are so many times those of the truth."""

POLICY = """\
name: shop
version: "1"
categories:
  child_safety: {review: 0.1}
  # As our lawyers want it.
  violence: {review: 0.5, block: 0.9}
"""


@dataclass(frozen=True)
class Place:
    """A folder with a dataset, a policy, and settings of an engine whose score for violence is the mean of red."""

    folder: Path
    labels: Path
    settings: Path
    policy: Path

    def configure(self, **policy: str) -> None:
        content = {
            "engine": {"onnx": {"classifiers": str(self.folder / "catalogue.yaml"), "threads": 1}},
            "policy": {"path": str(self.policy), "default": "shop", **policy},
            "media": {"decode": {"workers": 1}},
        }
        self.settings.write_text(yaml.safe_dump(content))


def write_images(folder: Path) -> Path:
    """Write pictures whose red is an overconfident score of violence, and their labels."""
    rng = np.random.default_rng(0)
    rows = []
    for number, truth in enumerate(rng.uniform(0.02, 0.98, IMAGES)):
        odds = (truth / (1.0 - truth)) ** OVERCONFIDENCE
        # The noise makes pictures differ; all means together stay below 1, as probabilities do.
        pixels = rng.integers(0, 4, (SIDE, SIDE, 3), dtype=np.uint8)
        pixels[..., 0] = round(250 * odds / (1.0 + odds))
        Image.fromarray(pixels).save(folder / f"{number}.png")
        rows.append((f"{number}.png", "violence" if rng.random() < truth else "none"))
    labels = folder / "labels.csv"
    with labels.open("w", newline="") as file:
        csv.writer(file).writerows([("image", "labels"), *rows])
    return labels


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("calibrate")
    write_catalogue(folder, entry(write_mean_model(folder / "means.onnx"), output="probabilities"))
    policy = folder / "shop.yaml"
    policy.write_text(POLICY)
    found = Place(folder, write_images(folder), folder / "modstream.yaml", policy)
    found.configure()
    return found


def run(place: Place, *arguments: str, code: int = 0) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place.folder)
        result = CliRunner().invoke(app, [*arguments, "-c", str(place.settings)], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="module")
def calibration(place: Place) -> Path:
    path, report = place.folder / "calibration.yaml", place.folder / "report.html"
    run(place, "calibrate", "labels.csv", "-o", str(path), "--report", str(report), "--category", "violence")
    assert "<svg" in report.read_text()
    return path


def test_the_written_file_makes_the_service_less_sure(place: Place, calibration: Path) -> None:
    found = read_calibration(calibration).content.engines[0].categories["violence"]["classifier"]
    assert not isinstance(found, Uncalibrated)
    assert found.positives + found.negatives == IMAGES
    assert found.ece_after < 0.75 * found.ece_before
    surest = max(place.folder.glob("*.png"), key=lambda path: np.asarray(Image.open(path))[..., 0].mean())
    place.configure(calibration=str(calibration))
    predictions = place.folder / "calibrated.jsonl"
    try:
        run(place, "evaluate", "labels.csv", "--predictions", str(predictions))
    finally:
        place.configure()
    verdict = next(
        each.verdict for each in read_predictions(predictions) if each.path and each.path.name == surest.name
    )
    assert verdict is not None
    assert verdict.uncalibrated is not None
    assert verdict.uncalibrated["violence"] == pytest.approx(250 / 255, abs=0.01)
    assert verdict.scores["violence"] < verdict.uncalibrated["violence"] - 0.1
    assert re.fullmatch(r"calibration/[0-9TZ-]+ sha256:[0-9a-f]{64}", verdict.calibration_file or "")


def test_a_calibration_is_fitted_on_the_engines_own_scores_whatever_file_the_settings_name(
    place: Place, calibration: Path
) -> None:
    again = place.folder / "again.yaml"
    place.configure(calibration=str(calibration))
    try:
        run(place, "calibrate", "labels.csv", "-o", str(again))
    finally:
        place.configure()
    first, second = (read_calibration(path).content for path in (calibration, again))
    assert first.engines == second.engines
    assert first.fitted_on == second.fitted_on


def test_solved_thresholds_are_written_into_a_policy(place: Place) -> None:
    new, figures = place.folder / "new.yaml", place.folder / "figures.json"
    targets = ("--target", "violence.precision>=0.75", "--target", "violence.recall>=0.9")
    result = run(
        place, "thresholds", "labels.csv", *targets, "-o", str(new), "--json", str(figures), "--report", "t.html"
    )
    policy = check_policy(new).result()
    rule = policy.categories["violence"]
    assert policy.version == "2"
    assert rule.review is not None
    assert rule.block is not None
    assert rule.review < rule.block
    assert "# As our lawyers want it." in new.read_text()
    assert "# solved: block" in new.read_text()
    page = (place.folder / "t.html").read_text()
    assert "The labelled images support all 2 targets" in page
    assert "<svg" in page
    solved = json.loads(figures.read_text())["targets"]["solved"]
    assert [(each["outcome"], each["found"]["threshold"]) for each in solved] == [
        ("block", rule.block),
        ("review", rule.review),
    ]
    assert re.search(r"\d+ of \d+", result.output)


def test_a_target_beyond_the_labels_writes_nothing(place: Place) -> None:
    new = place.folder / "refused.yaml"
    result = run(place, "thresholds", "labels.csv", "--target", "violence.recall>=0.995", "-o", str(new), code=1)
    assert re.search(r"violence.recall>=0.995 is not supported.*more labelled images are needed", result.output)
    assert not new.exists()


def test_costs_give_the_cheapest_thresholds_and_the_bill(place: Place) -> None:
    new = place.folder / "cheap.yaml"
    costs = "false_allow=50,false_block=10,review_minute=2"
    result = run(
        place,
        "thresholds",
        "labels.csv",
        "--costs",
        costs,
        "-o",
        str(new),
        "--images-a-month",
        "1000",
        "--report",
        "b.html",
    )
    found = re.findall(r"^(?:now|then): ([0-9,]+)", result.output, re.MULTILINE)
    now, then = (int(bill.replace(",", "")) for bill in found)
    assert then < now
    assert f"1,000 images cost {then:,} instead of {now:,}" in (place.folder / "b.html").read_text()
    assert check_policy(new).result().version == "2"


@pytest.fixture
def cascade(place: Place) -> Iterator[Place]:
    """Let both passes judge every image; the first pass's score for violence is that of the full one."""
    policy = place.policy.with_name("cascade.yaml")
    policy.write_text(POLICY + "first_pass: {engine: smaller, clear_below: {default: 0, child_safety: 0}}\n")
    first_pass = {"kind": "onnx", "onnx": {"classifiers": str(place.folder / "catalogue.yaml"), "threads": 1}}
    place.configure(path=str(policy))
    settings = yaml.safe_load(place.settings.read_text())
    settings["engine"]["first_pass"] = first_pass
    place.settings.write_text(yaml.safe_dump(settings))
    yield place
    place.configure()


FIRST_PASS = ("thresholds", "labels.csv", "--clear-child-safety", "--first-pass-recall")


def test_thresholds_of_a_first_pass_are_solved_from_images_that_both_passes_judged(cascade: Place) -> None:
    new, figures = cascade.folder / "cascade-2.yaml", cascade.folder / "passes.json"
    result = run(cascade, *FIRST_PASS, "0.9", "-o", str(new), "--json", str(figures))
    for words in ("held out", "are lost", "child_safety: an image that the first pass clears"):
        assert words in " ".join(result.output.split())
    first_pass = check_policy(new).result().first_pass
    assert first_pass is not None
    found = json.loads(figures.read_text())["first_pass"]
    assert found["clear_below"] == first_pass.clear_below
    assert 0.2 < first_pass.clear_below["violence"] < 0.5
    assert found["held_out"]["recall"]["value"] >= 0.9
    assert found["held_out"]["cleared"]["value"] > 0.3


def test_a_recall_that_the_images_cannot_prove_names_the_number_that_is_needed(cascade: Place) -> None:
    result = run(cascade, *FIRST_PASS, "0.99", code=1)
    text = " ".join(result.output.split())
    assert "299 are the fewest that prove a recall of 0.99 with 95% confidence" in text
    assert re.search(r"judge about [0-9]+ more such images", text)


@pytest.mark.parametrize(
    ("first_pass", "options", "detail"),
    [
        ("", ("--first-pass-recall", "0.9"), "give --clear-child-safety"),
        ("", (*FIRST_PASS[2:], "0.9"), "has no first_pass: add"),
        (
            "first_pass: {engine: smaller, clear_below: {default: 0.1, child_safety: 0}}\n",
            (*FIRST_PASS[2:], "0.9"),
            "clears images, which the full pass then does not judge",
        ),
    ],
)
def test_a_policy_whose_passes_cannot_be_compared_is_refused_before_an_engine_starts(
    place: Place, first_pass: str, options: tuple[str, ...], detail: str
) -> None:
    place.policy.write_text(POLICY + first_pass)
    try:
        result = run(place, "thresholds", "labels.csv", *options, code=2)
    finally:
        place.policy.write_text(POLICY)
    assert detail in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "code", "detail"),
    [
        (("calibrate", "labels.csv", "--category", "weapons"), 1, "too few different images for weapons"),
        (("calibrate", "labels.csv", "--name", "../x"), 2, "--name '../x'"),
        (("calibrate", "none.csv"), 1, "there is no such file or folder"),
        (("calibrate", "labels.csv", "-o", "none/calibration.yaml"), 1, "cannot be written"),
        (("thresholds", "labels.csv"), 2, "give --target, once or more, or --costs, or --first-pass-recall"),
        (("thresholds", "labels.csv", "--target", "violence.f1>=0.9"), 2, "is no target"),
        (("thresholds", "labels.csv", "--target", "weapons.recall>=0.9"), 2, "has no rule for it"),
        (("thresholds", "labels.csv", "--costs", "false_allow=1"), 2, "--costs: give false_allow=PRICE"),
        (("thresholds", "labels.csv", "--target", "child_safety.recall>=0.9"), 1, "no image has both a label and a"),
    ],
)
def test_bad_input_ends_with_what_to_do(place: Place, arguments: tuple[str, ...], code: int, detail: str) -> None:
    before = {path.name for path in place.folder.iterdir()}
    result = run(place, *arguments, code=code)
    assert detail in " ".join(result.output.split())
    assert {path.name for path in place.folder.iterdir()} - before <= {".evaluation"}
