"""`modstream backtest` over a synthetic archive."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.policy.calibration import calibration_identity
from testing.synthetic_backtest import SyntheticBacktest
from tests.unit.policy.test_calibration import content, written
from tests.unit.tools.evaluation.stored import a_verdict, write_lines


def backtest(*options: object, **environment: str) -> Result:
    return CliRunner().invoke(app, ["backtest", *map(str, options)], env={"COLUMNS": "140"} | environment)


@pytest.fixture(scope="module")
def found(synthetic: SyntheticBacktest) -> dict[str, Any]:
    run = backtest("--policy", synthetic.new, "--archive", synthetic.archive, "--json")
    assert run.exit_code == 0, run.stderr
    answer: dict[str, Any] = json.loads(run.stdout)
    return answer


def test_the_json_has_the_sentence_the_matrix_and_all_images(found: dict[str, Any]) -> None:
    counts = {(cell["before"], cell["after"]): cell["images"] for cell in found["result"]["matrix"]}
    assert sum(counts.values()) == 4000
    assert found["changed"] == sum(count for (before, after), count in counts.items() if before != after) > 0
    assert found["sentence"].startswith("Of 4,000 images ")


def test_the_terminal_shows_the_same_as_the_json_and_a_requirement_that_does_not_hold_fails_the_build(
    synthetic: SyntheticBacktest, found: dict[str, Any]
) -> None:
    options = ("--stored-by", "shop", "--require", "changed<=0%", "--require", "changed>0%")
    run = backtest("--policy", synthetic.new, "--archive", synthetic.archive, *options)
    assert run.stdout.startswith(found["sentence"])
    for heading in ("now review", "Category", "Tenant", "Nearest to a threshold", "Scores cannot answer"):
        assert heading in run.stdout
    allowed = next(cell for cell in found["result"]["matrix"] if (cell["before"], cell["after"]) == ("allow", "allow"))
    assert f"{allowed['images']:,}" in run.stdout
    assert run.exit_code == 1
    assert re.search(r"--require changed<=0% does not hold: it is [0-9.]+ %", run.stderr)
    assert "changed>0%" not in run.stderr


def test_the_policy_that_decided_changes_nothing(synthetic: SyntheticBacktest) -> None:
    run = backtest("--policy", synthetic.old, "--archive", synthetic.archive, "--require", "changed<=0")
    assert run.stdout.startswith("Of 4,000 images none would change.")
    assert run.exit_code == 0


def test_another_policy_takes_the_place_of_the_stored_decisions_and_one_tenant_counts(
    synthetic: SyntheticBacktest,
) -> None:
    options = ("--baseline", synthetic.old, "--archive", synthetic.archive, "--tenant", "chat")
    answer = json.loads(backtest("--policy", synthetic.new, *options, "--json").stdout)
    (tenant,) = answer["result"]["tenants"]
    assert answer["result"]["baseline"] == "shop, version 3"
    assert tenant["name"] == "chat"
    assert 0 < tenant["images"] == answer["result"]["images"] < 1000


def test_judging_again_what_scores_cannot_answer_has_its_price(synthetic: SyntheticBacktest, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "verdicts.jsonl", [a_verdict(0, prompt_hash="0" * 64)])
    options = ("--verdicts", path, "--gpu", "L4", "--gpu-hour", 0.5, "--json")
    again = json.loads(backtest("--policy", synthetic.new, *options).stdout)["result"]["again"]
    assert again["usd"] == pytest.approx(again["gpu_hours"] * 0.5)
    assert again["images"] == 1
    assert "L4" in again["assumption"]


def test_verdicts_of_another_policy_are_left_out(synthetic: SyntheticBacktest) -> None:
    run = backtest("--policy", synthetic.new, "--archive", synthetic.archive, "--stored-by", "another")
    assert run.stdout.startswith("There are no stored verdicts")


def test_a_report_shows_the_images_that_are_asked_for(synthetic: SyntheticBacktest, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    options = ("--archive", synthetic.archive, "--examples", 2, "--report", path, "--images", synthetic.events)
    media = {"MODSTREAM_MEDIA__FETCH__FILE_ROOT": str(synthetic.photographs), "MODSTREAM_MEDIA__DECODE__WORKERS": "1"}

    run = backtest("--policy", synthetic.new, *options, **media)

    assert run.exit_code == 0, run.stderr
    assert path.read_text().count("data:image/webp") >= 2
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_the_calibration_file_of_the_settings_is_compared_with_that_of_the_verdicts(
    synthetic: SyntheticBacktest, tmp_path: Path
) -> None:
    calibration = written(tmp_path, content())
    known = calibration_identity(calibration)
    for used, kinds in ((known, set()), ("shop/2 sha256:0", {"calibration.changed"}), (None, {"calibration.changed"})):
        path = write_lines(tmp_path / "verdicts.jsonl", [a_verdict(0, calibration_file=used)])
        options = ("--policy", synthetic.new, "--verdicts", path, "--json")
        run = backtest(*options, MODSTREAM_POLICY__CALIBRATION=str(calibration))
        found = {each["kind"] for each in json.loads(run.stdout)["result"]["unanswered"]}
        assert found & {"calibration.changed"} == kinds


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--images", "topic"], 2, "--report"),
        (["--require", "chnged<=1"], 2, "is no figure"),
        (["--verdicts", "-"], 2, "two sources"),
        (["--since", "yesterday"], 2, "--since yesterday"),
        (["--report", "missing/folder/report.html"], 2, "no folder missing/folder"),
    ],
)
def test_wrong_options_are_named(synthetic: SyntheticBacktest, options: list[str], code: int, said: str) -> None:
    run = backtest("--policy", synthetic.new, "--archive", synthetic.archive, *options)
    assert run.exit_code == code, run.stderr
    assert said in run.stderr
