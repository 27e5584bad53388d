from collections.abc import Iterator

import pytest
import typer.main
from typer.core import TyperGroup
from typer.testing import CliRunner

from service.cli.main import app


def commands(command: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from commands(inner, (*path, name))


ALL = list(commands(typer.main.get_command(app)))
# Those with subcommands, which have exit codes of their own.
GROUPS = {(), ("topics",), ("policy",), ("engine",), ("dead-letters",)}


def help_of(path: tuple[str, ...]) -> str:
    result = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "80", "NO_COLOR": "1"})
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help_that_fits_a_terminal(path: tuple[str, ...]) -> None:
    text = help_of(path)
    assert "Usage: " in text
    assert max(len(line) for line in text.splitlines()) <= 80


@pytest.mark.parametrize("path", [path for path in ALL if path not in GROUPS], ids=" ".join)
def test_every_command_documents_its_exit_codes(path: tuple[str, ...]) -> None:
    assert "Exit codes" in help_of(path)


def test_no_arguments_show_the_help() -> None:
    result = CliRunner().invoke(app, [])
    assert "Start here" in result.output


def test_a_misspelt_command_is_wrong_usage_with_a_suggestion() -> None:
    result = CliRunner().invoke(app, ["serv"])
    assert result.exit_code == 2
    assert "serve" in result.stderr
