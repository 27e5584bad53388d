import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli.commands import app


def capacity(*arguments: str, images: str = "1000000") -> Result:
    given = ["capacity", "--images-per-day", images, *arguments]
    return CliRunner().invoke(app, given, env={"COLUMNS": "200", "NO_COLOR": "1"})


def test_everything_that_is_needed_is_shown_with_its_reason_and_the_assumptions() -> None:
    shown = capacity().stdout
    for text in ("partitions", "processes", "GPUs", "CPU cores", "object store", "brokers", "per 1,000", "Assumptions"):
        assert text in shown
    assert "calculated and never measured on a GPU" in shown
    assert "burst of 10 ×" in shown


def test_a_measured_rate_replaces_the_calculated_one() -> None:
    answer = json.loads(capacity("--images-per-s", "50", "--json").stdout)
    assert answer["capacity"]["worker"]["images_per_s"] == 50
    assert "as you gave it" in answer["assumptions"][0]


def test_the_embedded_engine_needs_no_card_and_says_what_it_lacks() -> None:
    shown = capacity("--engine", "cpu", images="5000").stdout
    assert "GPUs" not in shown
    assert "fewer categories" in shown


def test_a_card_that_mostly_waits_is_called_expensive() -> None:
    assert "cost less" in capacity(images="5000").stdout
    assert "cost less" not in capacity(images="100000000").stdout


def test_a_target_that_cannot_be_kept_is_said() -> None:
    assert "cannot be kept" in capacity("--target-s", "0.1").stdout


def test_prices_are_in_one_currency() -> None:
    dollars, yuan = (json.loads(capacity("--json", "--currency", code).stdout) for code in ("USD", "cny"))
    assert yuan["currency"] == "CNY"
    assert yuan["capacity"]["cost"]["brokers"] == pytest.approx(dollars["capacity"]["cost"]["brokers"] * 7.1)


@pytest.mark.parametrize(
    ("arguments", "code", "option"),
    [
        (["--currency", "EUR"], 2, "--usd-rate"),
        (["--gpu", "RTX 3091"], 2, "--gpu"),
        (["--peak-factor", "0.5"], 2, "--peak-factor"),
        (["--gpu", "3080 10GB"], 1, "does not fit"),
        (["--may-fail", "99"], 1, "partitions"),
    ],
)
def test_what_cannot_be_planned_says_why(arguments: list[str], code: int, option: str) -> None:
    result = capacity(*arguments)
    assert result.exit_code == code
    assert option in result.stderr


FEW_TOKENS = ("--first-pass-tokens", "64", "--cleared", "0.8")


def test_a_first_pass_needs_fewer_cards_and_the_interpreter_may_be_the_next_limit() -> None:
    given = ((), FEW_TOKENS, ("--first-pass-model", "2B", *FEW_TOKENS))
    answers = [json.loads(capacity(*each, "--json", images="100000000").stdout)["capacity"] for each in given]
    without, few_tokens, smaller = answers
    assert few_tokens["processes"] < 0.6 * without["processes"]
    assert few_tokens["cost"]["always_on"] < 0.6 * without["cost"]["always_on"]
    assert smaller["worker"]["first_pass_cards"] > 0
    assert smaller["worker"]["limited_by"] == "one process's interpreter"
    assert "4 for the first pass" in capacity(*given[2], images="100000000").stdout


@pytest.mark.parametrize("other", [("--engine", "cpu"), ("--images-per-s", "50")])
def test_a_first_pass_is_planned_for_calculated_cards(other: tuple[str, ...]) -> None:
    result = capacity(*other, *FEW_TOKENS)
    assert result.exit_code == 2
    assert "leave --cleared out" in result.stderr


def test_the_document_has_the_first_passes_that_the_command_plans() -> None:
    document = (Path(__file__).parents[3] / "docs/capacity.md").read_text(encoding="utf-8")
    rows = [
        line for line in document.splitlines() if "for the first pass |" in line or "tokens, the same engine" in line
    ]
    assert len(rows) == 2
    for row, options in zip(rows, (FEW_TOKENS, ("--first-pass-model", "2B", *FEW_TOKENS)), strict=True):
        answer = json.loads(capacity(*options, "--json", images="100000000").stdout)["capacity"]
        cost = answer["cost"]
        month = f"{cost['always_on'] + cost['brokers']:,.0f}"
        assert f" | {answer['worker']['limited_by']} | {answer['cores']} | {month} | " in row
