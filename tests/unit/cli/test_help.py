import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup
from typer.testing import CliRunner

from service.cli.commands import app
from service.cli.lazy import imported


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Yield every command: its path, what its group's list shows of it, and the command itself."""
    whole = imported(command)
    yield path, command, whole
    if isinstance(whole, TyperGroup):
        for name, inner in whole.commands.items():
            yield from commands(inner, (*path, name))


FOUND = list(commands(typer.main.get_command(app)))
ALL = [path for path, _, _ in FOUND]
# Those with subcommands, which have exit codes of their own.
GROUPS = {path for path, _, command in FOUND if isinstance(command, TyperGroup)}


def help_of(path: tuple[str, ...]) -> str:
    result = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "80", "NO_COLOR": "1"})
    assert result.exit_code == 0
    return result.stdout


def first_sentence(command: Any) -> str:
    return " ".join((command.help or "").partition("\n\n")[0].split())


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help_that_fits_a_terminal(path: tuple[str, ...]) -> None:
    text = help_of(path)
    assert "Usage: " in text
    assert max(len(line) for line in text.splitlines()) <= 80


@pytest.mark.parametrize("path", [path for path in ALL if path not in GROUPS], ids=" ".join)
def test_every_command_documents_its_exit_codes(path: tuple[str, ...]) -> None:
    assert "Exit codes" in help_of(path)


@pytest.mark.parametrize(("path", "command"), [(path, command) for path, _, command in FOUND], ids=str)
def test_no_paragraph_of_help_has_line_ends_of_its_own(path: tuple[str, ...], command: Any) -> None:
    paragraphs = re.split(r"\n[ \t]*\n", (command.help or "").strip())
    assert [paragraph for paragraph in paragraphs if "\n" in paragraph] == [], path


def test_the_list_of_commands_shows_the_first_sentence_of_each_ones_help() -> None:
    shown = {path: first_sentence(listed) for path, listed, _ in FOUND}
    assert shown == {path: first_sentence(command) for path, _, command in FOUND}


def test_no_arguments_show_the_help() -> None:
    result = CliRunner().invoke(app, [])
    assert "Start here" in result.output


def test_the_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"modstream {version('modstream')}\n")


@pytest.mark.parametrize(("arguments", "meant"), [(["serv"], "serve"), (["engine", "tri"], "try")])
def test_a_misspelt_command_is_wrong_usage_with_a_suggestion(arguments: list[str], meant: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert meant in result.stderr
