import json

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
