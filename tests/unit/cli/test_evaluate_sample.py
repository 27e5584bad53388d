"""`modstream evaluate sample`, `labelling-page` and `estimate`: from stored verdicts to labels to figures."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from service.cli.commands import app
from tests.unit.tools.evaluation.stored import a_verdict, write_lines


def modstream(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)], env={"COLUMNS": "200", "NO_COLOR": "1"})


def verdicts(folder: Path) -> Path:
    """Store 20 images that were flagged for weapons and 80 that were allowed."""
    reason = {"category": "weapons", "decision": "review", "code": "score_over_threshold", "message": ""}
    flagged = {"decision": "review", "deciding_category": "weapons", "scores": {"weapons": 0.9}, "reasons": [reason]}
    allowed: dict[str, Any] = {
        "decision": "allow",
        "deciding_category": None,
        "scores": {"weapons": 0.01},
        "reasons": [],
    }
    documents = [a_verdict(number, **(flagged if number < 20 else allowed)) for number in range(100)]
    return write_lines(folder / "verdicts.jsonl", documents)


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    out = tmp_path / "to-label.csv"
    result = modstream("sample", "--verdicts", verdicts(tmp_path), "--size", "40", "--out", out)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "40 of 100 images drawn from 2 strata, 20 of them were allowed" in result.stdout
    return out


def label(path: Path, shown: str = "weapons") -> Path:
    """Label images as they are: 18 of those flagged show weapons, and 8 of those allowed."""
    rows = list(csv.DictReader(io.StringIO(path.read_text())))
    for each in rows:
        number = int(each["image_id"].removeprefix("image-"))
        each["labels"] = shown if number < 18 or number >= 92 else "none"
    labelled = path.with_name("labelled.csv")
    with labelled.open("w") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return labelled


def test_labels_become_figures_with_intervals(drawn: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    result = modstream("estimate", label(drawn), "--json", figures)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "40 labelled of 100 images; 95% intervals" in result.stdout
    (weapons,) = json.loads(figures.read_text())["categories"]
    assert (weapons["category"], weapons["precision"]) == ("weapons", {"value": 0.9, "low": 0.9, "high": 0.9})
    assert weapons["recall"]["low"] < 18 / 26 < weapons["recall"]["high"]
    assert "90.0% (90.0% to 90.0%)" in result.stdout


def test_images_without_labels_are_counted(drawn: Path) -> None:
    labelled = label(drawn)
    lines = labelled.read_text().splitlines()
    lines[5] = lines[5].removesuffix("weapons,").removesuffix("none,") + ","
    labelled.write_text("\n".join(lines))
    assert "warning: 1 of 40 images have no label" in modstream("estimate", labelled).stderr


def test_wrong_labels_are_an_error_with_their_lines(drawn: Path) -> None:
    result = modstream("estimate", label(drawn, "wepons"))
    assert result.exit_code == 1
    assert "the label 'wepons' is no category; did you mean weapons?" in result.stderr
    assert "[labels.invalid]" in result.stderr


def test_a_file_that_may_hold_labels_is_never_overwritten(drawn: Path, tmp_path: Path) -> None:
    before = drawn.read_bytes()
    result = modstream("sample", "--verdicts", verdicts(tmp_path), "--out", drawn)
    assert result.exit_code == 2
    assert "exists, and may hold labels" in result.stderr
    assert drawn.read_bytes() == before


def test_without_the_allowed_recall_is_said_to_stay_unknown(tmp_path: Path) -> None:
    out = tmp_path / "flagged.csv"
    result = modstream("sample", "--verdicts", verdicts(tmp_path), "--allowed-share", "0", "--out", out)
    assert result.exit_code == 0
    assert "recall and prevalence stay unknown" in result.stderr
    estimated = modstream("estimate", label(out))
    assert "none of 80 allowed images was drawn" in estimated.stderr
    assert "unknown" in estimated.stdout


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--by", "colour", "--by colour: images are split by band, category, decision, tenant"),
        ("--bands", "0.5,0.2", "--bands 0.5,0.2: bands are at most 20 ascending scores"),
        ("--bands", "a", "--bands a: bands are at most 20 ascending scores"),
        ("--bands", "nan", "--bands nan: bands are at most 20 ascending scores"),
        ("--size", "1", "--size"),
        ("--allowed-share", "2", "--allowed-share"),
    ],
)
def test_wrong_arguments_are_named_and_nothing_is_written(
    tmp_path: Path, option: str, value: str, message: str
) -> None:
    out = tmp_path / "to-label.csv"
    result = modstream("sample", "--verdicts", verdicts(tmp_path), "--out", out, option, value)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not out.exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    out = tmp_path / "missing" / "to-label.csv"
    result = modstream("sample", "--verdicts", verdicts(tmp_path), "--out", out)
    assert result.exit_code == 1
    assert "to-label.csv cannot be written" in result.stderr


def test_the_page_holds_every_row_and_no_image_that_was_not_asked_for(drawn: Path, tmp_path: Path) -> None:
    out = tmp_path / "to-label.html"
    result = modstream("labelling-page", drawn, "--out", out)
    assert result.exit_code == 0
    assert "40 images to label, 0 of them in the page" in result.stdout
    page = out.read_text()
    assert page.count("image-") >= 40
    assert "data:image/webp" not in page
