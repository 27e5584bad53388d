from typing import Any

import pytest
from typer.testing import CliRunner

from service.cli import api
from service.cli.commands import app
from service.cli.exits import ExitCode
from service.settings.settings import Settings
from service.tools.demo import tiny_model


def test_without_vllm_the_tiny_model_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_model, "find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["api", "--engine", "tiny"])
    assert result.exit_code == 1
    assert "make install" in result.stderr


@pytest.mark.parametrize(("arguments", "kind"), [((), "onnx"), (("--engine", "tiny"), "vllm")])
def test_the_engine_is_the_chosen_one(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], kind: str) -> None:
    seen: list[Any] = []

    def run(settings: Settings) -> ExitCode:
        seen.append(settings.engine.kind)
        return ExitCode.OK

    monkeypatch.setattr(tiny_model, "find_spec", lambda name: name)
    monkeypatch.setattr(api, "_run", run)
    result = CliRunner().invoke(app, ["api", *arguments])
    assert (result.exit_code, seen) == (0, [kind])
