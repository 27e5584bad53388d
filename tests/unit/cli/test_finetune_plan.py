"""`modstream finetune plan`, and its table in the documents."""

from pathlib import Path

from typer.testing import CliRunner

from service.cli.commands import app

DOCUMENT = Path(__file__).parents[3] / "docs" / "finetune.md"


def plan(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["finetune", "plan", *arguments], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_the_documents_table_is_the_commands() -> None:
    assert plan("--markdown") in DOCUMENT.read_text(encoding="utf-8")


def test_a_plan_says_that_it_was_calculated() -> None:
    text = plan("--gpu", "3090", "--images", "20000")
    assert "RTX 3090" in text
    assert "Calculated, not measured: 20,000 images" in text


def test_an_unknown_card_is_one_message() -> None:
    result = CliRunner().invoke(app, ["finetune", "plan", "--gpu", "abacus"])
    assert result.exit_code == 2
    assert "no card 'abacus' is known" in result.stderr
