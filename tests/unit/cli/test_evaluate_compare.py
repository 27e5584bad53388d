"""`modstream evaluate compare`: two files of predictions, in the terminal, as JSON and as a report."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.tools.evaluation.quality.prediction_file import write_predictions
from service.tools.evaluation.quality.predictions import Prediction
from tests.unit.tools.evaluation.compared_predictions import prediction

HOSTILE = "<script>alert(1)</script>"


def modstream(*arguments: str | Path, **environment: str) -> Result:
    variables = {"COLUMNS": "240", "NO_COLOR": "1", **environment}
    return CliRunner().invoke(app, ["evaluate", "compare", *map(str, arguments)], env=variables)


def stored(path: Path, predictions: Sequence[Prediction]) -> Path:
    write_predictions(path, predictions)
    return path


def weapons(hits: int) -> list[Prediction]:
    """Return 20 images that show weapons, of which so many are found."""
    return [prediction(number, "weapons", weapons=0.9 if number < hits else 0.1) for number in range(20)]


def test_a_difference_is_shown_in_the_terminal_as_json_and_as_a_report(tmp_path: Path) -> None:
    first, second = stored(tmp_path / "a.jsonl", weapons(8)), stored(tmp_path / "b.jsonl", weapons(19))
    figures, report = tmp_path / "figures.json", tmp_path / "report.html"
    result = modstream(first, second, "--json", figures, "--report", report)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "+0.550" in result.stdout
    assert "0 : 11" in result.stdout
    assert "The second is better: of 20 images, 0 are labelled right by the first alone" in result.stdout
    (category,) = json.loads(figures.read_text())["categories"]
    assert category["test"]["p_value"] == pytest.approx(2 / 2**11)
    assert "The second is better" in report.read_text()


def test_names_of_files_are_text_in_a_report(tmp_path: Path) -> None:
    (tmp_path / "<script>alert(1)<").mkdir()
    first = stored(tmp_path / HOSTILE, weapons(8))
    report = tmp_path / "report.html"
    assert modstream(first, first, "--report", report).exit_code == 0
    assert HOSTILE not in report.read_text()
    assert "&lt;script&gt;alert(1)" in report.read_text()


def test_files_about_different_images_are_refused_with_their_number(tmp_path: Path) -> None:
    first, second = stored(tmp_path / "a.jsonl", weapons(8)), stored(tmp_path / "b.jsonl", weapons(8)[:18])
    result = modstream(first, second)
    assert result.exit_code == 1
    assert "2 images only in the first, such as 18.jpg, 19.jpg" in result.stderr
    assert "[compare.different_examples]" in result.stderr


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    unjudged = [prediction(0, "weapons", status="not_moderated"), *weapons(20)[1:]]
    result = modstream(stored(tmp_path / "a.jsonl", weapons(8)), stored(tmp_path / "b.jsonl", unjudged))
    assert "warning: 1 images are left out, because B" in result.stderr


@pytest.mark.parametrize("content", ["", "{}\n", "no JSON\n"])
def test_a_file_that_holds_no_predictions_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "b.jsonl").write_text(content)
    result = modstream(stored(tmp_path / "a.jsonl", weapons(8)), tmp_path / "b.jsonl")
    assert result.exit_code == 1
    assert "b.jsonl" in result.stderr


def test_an_unknown_policy_is_an_error(tmp_path: Path) -> None:
    first = stored(tmp_path / "a.jsonl", weapons(8))
    result = modstream(first, first, "--policy", "unknown")
    assert result.exit_code == 1
    assert "unknown" in result.stderr
