import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from service.cli.commands import app


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "modstream.yaml"


def modstream(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, arguments, env=environment)


def test_config_shows_what_is_in_force_and_where_it_came_from(config: Path) -> None:
    config.write_text("ordering: key\n", encoding="utf-8")
    result = modstream("config", "-c", str(config), MODSTREAM_DELIVERY="at_least_once")
    assert result.exit_code == 0
    assert "ordering: key" in result.stdout
    assert f"# {config}:1" in result.stdout
    assert "# MODSTREAM_DELIVERY" in result.stdout


def test_every_problem_is_shown_and_the_exit_code_says_wrong_settings(config: Path) -> None:
    config.write_text("ordering: random\n", encoding="utf-8")
    result = modstream("config", "-c", str(config), MODSTREAM_KAFKA__GROUPID="x")
    assert result.exit_code == 2
    assert "2 problems with the settings" in result.stderr
    assert f"ordering · {config}:1" in result.stderr
    assert "Did you mean MODSTREAM_KAFKA__GROUP_ID?" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["serve", "config"])
def test_no_command_starts_with_wrong_settings(config: Path, command: str) -> None:
    config.write_text("nope: 1\n", encoding="utf-8")
    assert modstream(command, "-c", str(config)).exit_code == 2


def test_the_file_can_be_named_by_the_environment(config: Path) -> None:
    config.write_text("ordering: key\n", encoding="utf-8")
    assert "ordering: key" in modstream("config", MODSTREAM_CONFIG=str(config)).stdout


def test_markup_in_values_is_shown_as_it_is(config: Path) -> None:
    config.write_text("delivery: '[red]x[/]'\n", encoding="utf-8")
    assert "[red]x[/]" in modstream("config", "-c", str(config)).stderr


def test_the_schema_is_one_that_editors_read() -> None:
    schema = json.loads(modstream("config", "--schema").stdout)
    assert schema["additionalProperties"] is False
    assert "Addresses of the brokers: comma-separated host:port pairs." in json.dumps(schema)
