"""`modstream evaluate DATASET`: its arguments, its prices, and the table of two engines."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from service.cli.commands import app
from service.cli.evaluate_against import against_rows, priced
from service.cli.evaluate_price import Price, default_price, monthly_cost, parse_price
from tests.unit.tools.evaluation.predicted import example, prediction
from tests.unit.tools.evaluation.test_evaluation import SAFE, evaluated


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["evaluate", *arguments], env={"COLUMNS": "200", "NO_COLOR": "1"})


def test_arguments_without_a_command_are_a_dataset(tmp_path: Path) -> None:
    for arguments in (["nothing"], ["dataset", "nothing"], ["--split", "test", "nothing"]):
        result = run(*arguments)
        assert (result.exit_code, "nothing: there is no such file or folder" in result.stderr) == (1, True)
    assert "compare" in run("--help").stdout
    assert "--require" in run("dataset", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--require", "wepons.recall>=1"], "'wepons' is no category"),
        (["--price", "cheap"], "a price is written"),
        (["--against-price", "1/day"], "a price is written"),
        (["--images-per-day", "0"], "Invalid value"),
        (["--nonsense"], "No such option"),
    ],
)
def test_wrong_arguments_are_reported_before_anything_runs(tmp_path: Path, arguments: list[str], said: str) -> None:
    result = run(str(tmp_path), *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_label_that_is_no_category_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("image,labels\na.jpg,guns\n")
    result = run(str(path))
    assert result.exit_code == 1
    assert "labels.csv, line 2: the label 'guns' is no category: map it with --map" in result.stderr.replace("\n", " ")


def test_prices_are_of_a_machine_s_hour_or_of_a_thousand_images() -> None:
    assert parse_price("0.40/hour") == Price(0.4, "hour")
    assert parse_price("2/1000") == Price(2.0, "1000")
    with pytest.raises(typer.BadParameter):
        parse_price("2/month")


def test_a_month_costs_its_machines_or_its_images() -> None:
    # 10,000 images of 20 s each are 55.6 hours a day: three machines that are always on.
    machines = monthly_cost(Price(0.5, "hour"), 10_000, 20.0)
    assert machines.how == "3 × 24 h"
    assert machines.per_month == pytest.approx(3 * 24 * 30 * 0.5)
    assert monthly_cost(Price(1.5, "1000"), 10_000, 20.0).per_month == pytest.approx(10 * 30 * 1.5)
    assert default_price("vllm") is None
    assert default_price("onnx") is not None


def test_two_engines_stand_in_one_table() -> None:
    good = evaluated([prediction(example("a", "weapons"), SAFE | {"weapons": 0.9})])
    bad = evaluated([prediction(example("a", "weapons"), SAFE), prediction(example("b"))])
    engines = [priced(good, Price(1.0, "1000"), 1000), priced(bad, None, 1000)]
    rows = {row[0]: list(row[1:]) for row in against_rows(engines, 1000)}
    assert rows["images judged"] == ["1 of 1", "1 of 2"]
    assert [text.partition(" ")[0] for text in rows["category accuracy"]] == ["1.000", "0.000"]
    assert rows["seconds an image"] == ["1.0000", "1.0000"]
    assert rows["cost a month, 1,000 images a day"] == ["30.00 (by the image)", "unknown: give its price"]


@pytest.mark.parametrize(
    ("command", "library"),
    [
        (["evaluate"], "scipy"),
        (["policy", "sql"], "sqlglot"),
        (["backtest", "--policy"], "sqlglot"),
        (["replay", "--policy"], "sqlglot"),
    ],
)
def test_a_missing_library_names_the_extra_to_install(command: list[str], library: str) -> None:
    arguments = [*command, "policy.yaml"]
    program = f"import sys; sys.modules['{library}'] = None; from service.cli.commands import app; app({arguments})"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert f"{library} is missing: install the extra 'evaluation' of the package" in ended.stderr
