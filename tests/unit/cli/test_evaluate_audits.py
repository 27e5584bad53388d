"""`modstream evaluate audits`: from an archive to a sheet to labels to figures."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli.evaluate import app
from tests.unit.tools.evaluation.archives import archive
from tests.unit.tools.evaluation.outcome_log import OutcomeLog


def modstream(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["audits", *map(str, arguments)])


@pytest.fixture
async def place(tmp_path: Path) -> Path:
    log = OutcomeLog(audits=True)
    log.publish_audits(range(1_500), flagged=3, left_out=5)
    await archive(log, tmp_path / "archive")
    return tmp_path / "archive"


def test_the_figures_of_each_policy_are_printed_and_written(place: Path, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    result = modstream(place, "--json", figures)
    assert result.exit_code == 0, result.output
    assert "145 audits of 1,491 allowed images, 97% of the chosen ones" in " ".join(result.stdout.split())
    assert "weapons" in result.stdout
    (policy,) = json.loads(figures.read_text())["policies"]
    assert (policy["chosen"], policy["audited"], policy["refused"]) == (150, 145, None)
    assert (
        policy["overall"]["missed"]["low"] < policy["overall"]["missed"]["value"] < policy["overall"]["missed"]["high"]
    )
    assert policy["overall"]["truly_missed"] is None


def test_a_labelled_sheet_says_what_is_truly_missed(place: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "to-label.csv"
    assert modstream(place, "--sheet", sheet, "--without-find", 40).exit_code == 0
    lines = sheet.read_text().splitlines()
    assert len(lines) == 1 + 3 + 40
    assert modstream(place, "--sheet", sheet).exit_code == 2, "it may hold labels"
    sheet.write_text("\n".join([lines[0], lines[1] + "weapons", *(line + "none" for line in lines[2:])]))
    result = modstream(place, "--labels", sheet)
    assert result.exit_code == 0, result.output
    assert "truly missed" in result.stdout
    sheet.write_text("\n".join([lines[0], lines[1] + "weapons"]))
    assert "may be more" in modstream(place, "--labels", sheet).stderr


def test_too_few_audits_and_wrong_arguments_end_with_a_message(place: Path, tmp_path: Path) -> None:
    late = modstream(place, "--since", "2026-03-02T08:00Z")
    assert late.exit_code == 1
    assert "100 are needed" in late.stderr
    assert modstream(place, "--since", "2027-01-01").exit_code == 1
    assert modstream(place, "--policy", "other").exit_code == 1
    assert modstream(place, "--until", "soon").exit_code == 2
    absent = modstream(tmp_path / "absent")
    assert absent.exit_code == 2
    assert "there is no such folder" in absent.stderr
    (tmp_path / "empty").mkdir()
    empty = modstream(tmp_path / "empty")
    assert empty.exit_code == 1
    assert "policy.audit_share" in empty.stderr
