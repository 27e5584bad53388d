import json

import pytest
from typer.testing import CliRunner, Result

from service.cli.commands import app


def cost(*arguments: str, images: str = "5000", gpu_hour: str = "3") -> Result:
    given = ["cost", "--images-per-day", images, "--gpu-hour", gpu_hour, *arguments]
    return CliRunner().invoke(app, given, env={"COLUMNS": "200", "NO_COLOR": "1"})


def test_every_way_is_compared_and_the_assumptions_are_shown() -> None:
    shown = cost("--currency", "CNY").stdout
    for text in ("own GPU", "own CPU", "Rekognition", "Google", "Hive", "Sightengine", "OpenAI", "Assumptions"):
        assert text in shown
    assert "7.1 CNY each: a round figure, give --usd-rate" in shown
    assert "calculated" in shown


def test_all_three_models_have_a_price_and_each_figure_a_source() -> None:
    answer = json.loads(cost("--gpu", "L4", "--json").stdout)
    assert len(answer["models"]) == 3
    assert {each["kind"] for each in answer["sources"]} >= {"measured", "calculated", "published", "given"}
    shown = cost("--gpu", "L4").stdout
    assert "per 1,000, at 3.00 USD an hour" in shown
    assert "Where the figures come from" in shown


def test_an_always_on_card_for_few_images_is_called_expensive_with_what_else_there_is() -> None:
    few, many = cost().stdout, cost(images="5000000").stdout
    assert "expensive" in few
    assert "batch hours" in few
    assert "scale to zero" in few
    assert "expensive" not in many


def test_what_is_piped_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    shown = CliRunner().invoke(app, ["cost", "--images-per-day", "5000", "--gpu-hour", "3"]).stdout
    row = next(line for line in shown.splitlines() if line.startswith("OpenAI"))
    assert row.rstrip().endswith("looks at 6 of its 13 categories in images")
    cards = CliRunner().invoke(app, ["engine", "plan", "--gpu", "list"]).stdout
    assert all("NVIDIA" in line for line in cards.splitlines() if line.startswith("RTX"))


def test_an_idle_card_that_costs_less_than_every_paid_service_is_not_called_expensive() -> None:
    shown = cost("--gpu", "RTX 3070", "--model", "2B", images="20000", gpu_hour="0.02").stdout
    assert "expensive" not in shown
    assert "still costs less than every paid service" in shown


def test_what_costs_less_than_an_expensive_card_is_named() -> None:
    line = next(line for line in cost().stdout.splitlines() if "expensive" in line)
    assert "Rekognition" in line
    assert "Sightengine" not in line


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("Alibaba Cloud (China)", "https://help.aliyun.com/"),
        ("Baidu (China)", "https://cloud.baidu.com/"),
        ("Easemob (China)", "https://docs-im.easemob.com/"),
    ],
)
def test_a_chinese_provider_is_compared_with_its_source(name: str, source: str) -> None:
    shown = cost("--currency", "CNY").stdout
    assert name in shown
    assert source in shown


def test_a_card_that_is_too_small_names_the_model_that_fits() -> None:
    result = cost("--gpu", "RTX 3070")
    assert result.exit_code == 1
    assert "--model 2B does" in result.stderr


def test_a_measured_rate_replaces_the_calculated_one() -> None:
    measured = json.loads(cost("--images-per-s", "50", "--json").stdout)
    assert measured["comparison"]["busy_s_per_day"] == 100
    assert "as you gave it" in measured["assumptions"][0]


def test_a_measured_rate_without_a_card_is_attributed_to_no_card() -> None:
    assert "H100" not in cost("--images-per-s", "20").stdout
    assert "Models on L4" in cost("--images-per-s", "20", "--gpu", "L4").stdout


def test_scripts_get_json_without_infinities() -> None:
    answer = json.loads(cost("--json", "--currency", "cny").stdout)
    assert answer["currency"] == "CNY"
    free = next(each for each in answer["comparison"]["break_even"] if "OpenAI" in each["name"])
    assert free["images_per_day"] is None


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--currency", "EUR"], "--usd-rate"),
        (["--gpu", "RTX 3091"], "--gpu"),
        (["--model", "7B"], "--model"),
        (["--utilisation", "2"], "--utilisation"),
    ],
)
def test_a_wrong_argument_names_its_option(arguments: list[str], option: str) -> None:
    result = cost(*arguments)
    assert result.exit_code == 2
    assert option in result.stderr


def test_a_given_rate_opens_any_currency() -> None:
    result = cost("--currency", "EUR", "--usd-rate", "0.9")
    assert result.exit_code == 0
    assert "0.9 EUR each." in result.stdout


def test_a_model_that_does_not_fit_fails() -> None:
    result = cost("--gpu", "3080 10GB")
    assert result.exit_code == 1
    assert "does not fit" in result.stderr


def test_a_first_pass_lowers_the_price_and_says_that_it_is_calculated() -> None:
    first = ("--first-pass-tokens", "64", "--cleared", "0.8")
    without, passes = (json.loads(cost(*given, "--json", images="2000000").stdout) for given in ((), first))
    dear, cheap = (answer["comparison"]["own"][1]["per_1000"] for answer in (without, passes))
    assert dear / cheap == pytest.approx(passes["first_pass"]["images_per_s"] / passes["first_pass"]["without_per_s"])
    assert "makes 123 images/s 227, calculated" in " ".join(passes["assumptions"])
    assert "first_pass" not in without


def test_a_rate_that_was_measured_already_has_the_first_pass_in_it() -> None:
    result = cost("--images-per-s", "20", "--first-pass-tokens", "64", "--cleared", "0.8")
    assert result.exit_code == 2
    assert "measure it with the first pass" in result.stderr
