"""Whatever takes the output, or takes no more of it, a command ends with a message and without a traceback."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import IO

import pytest
from typer.testing import CliRunner

from service.cli.commands import app
from service.cli.main import run
from service.cli.options import complain, complain_of, warn

COST = ("cost", "--images-per-day", "5000", "--gpu-hour", "1")


def modstream(*arguments: str, into: int | IO[str] = subprocess.PIPE, **environment: str) -> CompletedProcess[str]:
    """Run a command with its output to a pipe or a file."""
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        stdout=into,
        stderr=subprocess.PIPE,
        check=False,
        encoding="utf-8",
        env=os.environ | environment,
    )


@pytest.mark.parametrize("arguments", [("--help",), COST], ids=lambda arguments: arguments[0])
def test_an_output_that_is_not_utf8_gets_escapes_for_what_it_cannot_show(arguments: tuple[str, ...]) -> None:
    shown = modstream(*arguments, PYTHONIOENCODING="ascii")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.isascii()


@pytest.mark.parametrize("arguments", [COST, ("config", "--defaults")], ids=lambda arguments: arguments[0])
def test_a_full_disk_ends_a_command_with_one_line(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        written = modstream(*arguments, into=full)
    assert (written.returncode, written.stderr) == (1, "error: the output cannot be written: No space left on device\n")


def test_an_output_that_is_closed_early_ends_a_command_in_silence() -> None:
    command = [sys.executable, "-m", "service", "config", "--markdown"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_the_demo_reports_a_folder_without_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    result = CliRunner().invoke(app, ["demo", "--images", "images"])
    assert result.exit_code == 1
    assert "there is no image in" in result.stderr


def test_the_demo_says_which_folder_it_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".demo").touch()
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 1
    assert str(tmp_path / ".demo" / "run") in result.stderr
    assert "start it in another folder" in result.stderr


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (OSError(errno.EROFS, "Read-only file system", "samples"), "error: samples: Read-only file system\n"),
        (OSError(errno.ENOSPC, "No space left on device"), "error: the output cannot be written: No space left"),
    ],
)
def test_what_the_system_refuses_is_one_line_with_the_file(
    error: OSError, shown: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("service.cli.commands.app", raising(error))
    with pytest.raises(SystemExit, match="1"):
        run()
    assert capfd.readouterr().err.startswith(shown)


def test_an_error_that_names_nothing_to_change_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.cli.commands.app", raising(OSError(errno.EMFILE, "Too many open files")))
    with pytest.raises(OSError, match="Too many open files"):
        run()


def raising(error: OSError) -> Callable[[], None]:
    def app() -> None:
        raise error

    return app


@pytest.mark.parametrize("show", [complain, warn, lambda text: complain_of(text, [text])])
def test_text_of_others_in_a_message_commands_no_terminal(
    show: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    show("policy \x1b[2J\x1b]0;title\x07 \u202e[red]\n[/]")
    shown = capsys.readouterr().err
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert r"\x1b[2J" in shown
    assert "[red]" in shown
