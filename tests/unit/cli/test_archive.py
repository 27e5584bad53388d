from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.commands import app
from service.tools.evaluation.archive.writer import open_writer
from service.tools.evaluation.stored.archive_store import FolderStore


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "--to is missing"),
        (["forget", "--archive", "a"], "--older-than"),
        (["forget", "--archive", "a", "--tenant", "shop"], "--image-id"),
        (["forget", "--archive", "a", "--image-id", "1"], "--tenant"),
        (["forget", "--archive", "a", "--tenant", "shop", "--image-id", "1", "--older-than", "1d"], "or else"),
        (["forget", "--archive", "a", "--older-than", "soon"], "cannot be read"),
        (["forget", "--archive", "a", "--older-than", "3h"], "a day or more"),
    ],
    ids=str,
)
def test_wrong_arguments_are_named(arguments: list[str], error: str) -> None:
    result = CliRunner().invoke(app, ["archive", *arguments])
    assert result.exit_code == 2
    assert error in result.stderr


def test_no_archive_to_forget_in_is_an_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["archive", "forget", "--archive", str(tmp_path), "--older-than", "400d"])
    assert result.exit_code == 1
    assert "[verdicts.none]" in result.stderr


def test_what_was_forgotten_is_counted(tmp_path: Path) -> None:
    open_writer(FolderStore(tmp_path))
    (tmp_path / "ids").write_text("1\n\n 2 \n")
    arguments = ["archive", "forget", "--archive", str(tmp_path), "--tenant", "shop", "--image-id", "3"]
    result = CliRunner().invoke(app, [*arguments, "--image-ids", str(tmp_path / "ids")])
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "deleted 0 verdicts, 0 tags, 0 dead letters, 0 audits of 3 images\n"


def test_an_archiver_without_a_broker_names_the_setting(tmp_path: Path, unused_tcp_port: int) -> None:
    environment = {"MODSTREAM_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{unused_tcp_port}"}
    result = CliRunner(env=environment).invoke(app, ["archive", "--to", str(tmp_path), "--once"])
    assert result.exit_code == 1
    assert "(setting kafka.bootstrap_servers)" in result.stderr


def test_an_archive_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "archive.json").write_text('{"version": "999", "salt": "x"}')
    result = CliRunner().invoke(app, ["archive", "--to", str(tmp_path), "--once"])
    assert result.exit_code == 1
    assert "version 999" in result.stderr
    assert "[archive.version]" in result.stderr
