"""Whatever ends the service ends it with a code that supervisors know, and a last line that says why."""

import json

import pytest
from typer.testing import CliRunner

from service.cli.commands import app
from service.settings.settings import Settings


async def crash(_settings: Settings) -> None:
    raise RuntimeError("https://signed.example/?secret")


def test_a_defect_ends_the_service_with_the_code_for_fatal_faults(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("service.app.run_service", crash)

    result = CliRunner(env={"MODSTREAM_TELEMETRY__LOG_FORMAT": "json"}).invoke(app, ["serve"])

    assert result.exit_code == 3
    (line,) = [json.loads(text) for text in (result.stderr + capfd.readouterr().err).splitlines()]
    assert (line["event"], line["reason"], line["branch"]) == ("service.fatal", "service.unexpected", "fatal")
    assert "RuntimeError" in line["error"]
    assert "crash" in {frame["name"] for frame in line["exception"][0]["frames"]}
    assert "secret" not in json.dumps(line)
