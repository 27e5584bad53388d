"""Every command that needs a broker says which setting names it when none answers."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli.commands import app

POLICY = Path(__file__).parents[3] / "service/policy/policies/default.yaml"


@pytest.mark.parametrize(
    "arguments",
    [
        ["send", "https://example.com/1.jpg"],
        ["watch"],
        ["topics", "create"],
        ["topics", "check"],
        ["dead-letters", "list"],
        ["dead-letters", "stats"],
        ["dead-letters", "show", "0:1"],
        ["dead-letters", "redrive"],
        ["dead-letters", "redrive", "--execute"],
        ["dead-letters", "discard", "--why", "mended", "--execute"],
        ["dead-letters", "skip", "images.uploaded/0/1"],
    ],
    ids=" ".join,
)
def test_a_broker_that_is_not_there_is_named_with_its_setting(arguments: list[str], unused_tcp_port: int) -> None:
    address = f"127.0.0.1:{unused_tcp_port}"
    result = CliRunner(env={"MODSTREAM_KAFKA__BOOTSTRAP_SERVERS": address}).invoke(app, arguments)
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"error: no Kafka broker answers at {address} (setting kafka.bootstrap_servers)")


@pytest.mark.parametrize(
    "arguments",
    [["backtest", "--policy", str(POLICY)], ["replay"], ["evaluate", "sample", "--out", "sample.csv"]],
    ids=lambda arguments: arguments[0],
)
def test_a_command_about_stored_verdicts_names_the_sources_that_need_no_broker(
    arguments: list[str], unused_tcp_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    address = f"127.0.0.1:{unused_tcp_port}"
    result = CliRunner(env={"MODSTREAM_KAFKA__BOOTSTRAP_SERVERS": address}).invoke(app, arguments)
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"error: no Kafka broker answers at {address} (setting kafka.bootstrap_servers)")
    assert "--archive or --verdicts" in last


def test_a_view_of_a_process_that_is_not_there_names_its_address(unused_tcp_port: int) -> None:
    result = CliRunner().invoke(app, ["top", "--url", f"127.0.0.1:{unused_tcp_port}", "--once", "--interval", "0.1"])
    assert result.exit_code == 1
    assert f"error: http://127.0.0.1:{unused_tcp_port}/metrics: " in result.stderr
