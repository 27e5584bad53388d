"""`modstream try`: files judged at once."""

import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from PIL import Image
from typer.testing import CliRunner, Result

from service.cli import try_files
from service.cli.commands import app
from service.cli.try_files import PHOTOGRAPHS
from service.inference.errors import EngineConfigurationError
from service.policy.loader import load_policies
from service.settings.load import load_settings
from service.tools.demo import tiny_model
from service.tools.demo.tiny_model import MODEL, PICTURES, with_tiny_model


@pytest.fixture(autouse=True)
def logging_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take back what the command sets up for its own process."""
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", "")  # is restored, which deleting alone would not be
    monkeypatch.delenv("VLLM_LOGGING_LEVEL")
    root = logging.getLogger()
    before = root.handlers, root.level
    yield
    root.handlers, _ = before
    root.setLevel(before[1])
    structlog.reset_defaults()


def tried(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["try", *arguments], env={"COLUMNS": "120", "NO_COLOR": "1"})


def test_without_files_the_photographs_of_the_package_are_judged() -> None:
    result = tried("--json")
    *judged, rate = map(json.loads, filter(lambda line: '"logger"' not in line, result.stdout.splitlines()))
    assert result.exit_code == 0
    assert rate["images"] == len(judged) == 12
    decisions = {each["image_id"]: each["verdict"]["decision"] for each in judged}
    assert decisions["beer.jpg"] == "review"
    assert decisions["alps.jpg"] == "allow"


def test_odd_files_are_left_out_with_their_reasons_and_counted(tmp_path: Path) -> None:
    Image.new("RGB", (64, 48), "navy").save(tmp_path / "photo.png")
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no image")
    result = tried(str(tmp_path))
    assert result.exit_code == 1
    assert "left out: empty.jpg: the file is empty" in result.stderr
    assert re.search(r"photo\.png +allow", result.stdout)
    assert "image.unsupported_format" in result.stdout
    assert "2 images in" in result.stdout.splitlines()[-1]
    assert "; 1 left out" in result.stdout.splitlines()[-1]


def test_an_engine_is_tried_with_tags_and_says_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no image")
    result = CliRunner().invoke(
        app, ["engine", "try", str(PHOTOGRAPHS / "beer.jpg"), str(tmp_path), "--tags", "--json"]
    )
    beer, notes, rate = map(json.loads, filter(lambda line: '"logger"' not in line, result.stdout.splitlines()))
    assert result.exit_code == 1
    assert (beer["verdict"]["decision"], beer["verdict"]["deciding_category"]) == ("review", "alcohol")
    assert beer["tags"]["attributes"]
    assert (notes["verdict"], notes["not_judged"]["reason"]) == (None, "image.unsupported_format")
    assert rate["images"] == 2


@pytest.mark.parametrize("arguments", [["absent.jpg"], [str(PHOTOGRAPHS / "beer.jpg"), "--policy", "x" * 300]])
def test_wrong_arguments_load_no_model(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("service.app.run.moderation_alone")
    assert CliRunner().invoke(app, ["engine", "try", *arguments]).exit_code == 2


def test_no_image_at_all_is_wrong_usage(tmp_path: Path) -> None:
    result = tried(str(tmp_path / "absent.jpg"))
    assert result.exit_code == 2
    assert "there is no such file or folder" in result.stderr


def test_the_tiny_model_comes_with_settings_policy_and_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_model, "find_spec", lambda name: name)
    settings = with_tiny_model(load_settings(None, {}).settings)
    assert (settings.engine.kind, settings.engine.vllm.model) == ("vllm", str(MODEL))
    assert (MODEL / "model.safetensors").is_file()
    assert load_policies(settings.policy).default.name == "shapes"
    assert len(list(PICTURES.glob("*.png"))) >= 8


@pytest.mark.parametrize(("given", "level"), [(None, "ERROR"), ("DEBUG", "DEBUG")])
def test_vllms_own_log_does_not_bury_the_verdicts_of_the_tiny_model(
    monkeypatch: pytest.MonkeyPatch, given: str | None, level: str
) -> None:
    if given:
        monkeypatch.setenv("VLLM_LOGGING_LEVEL", given)
    monkeypatch.setattr(tiny_model, "find_spec", lambda name: None)
    tried("--engine", "tiny")
    assert os.environ["VLLM_LOGGING_LEVEL"] == level


def test_without_vllm_the_tiny_model_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_model, "find_spec", lambda name: None)
    result = tried("--engine", "tiny")
    assert result.exit_code == 1
    assert "vLLM, which is not installed" in result.stderr
    assert "make install" in result.stderr


def test_without_its_weights_the_tiny_model_says_where_they_should_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tiny_model, "find_spec", lambda name: name)
    monkeypatch.setattr(tiny_model, "MODEL", tmp_path)
    with pytest.raises(EngineConfigurationError, match="has no weights"):
        with_tiny_model(load_settings(None, {}).settings)


def test_a_memory_error_of_vllms_processes_becomes_the_setting_to_change(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def fails(*_: object) -> None:
        os.write(2, b"ValueError: No available memory for the cache blocks. Try increasing")
        raise EngineConfigurationError(setting="engine.vllm", detail="Engine core initialization failed")

    monkeypatch.setattr(tiny_model, "find_spec", lambda name: name)
    monkeypatch.setattr(try_files, "_judged", fails)
    result = tried("--engine", "tiny")
    assert result.exit_code == 1
    assert "engine.vllm.gpu_memory_fraction: weights and intermediate results leave no memory" in result.stderr
    assert "No available memory" in capfd.readouterr().err
