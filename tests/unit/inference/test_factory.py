import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.inference.errors import EngineConfigurationError
from service.inference.factory import build_engine, build_passes
from service.inference.vision.engine import VisionEngine
from service.settings.engine import EngineSettings, FirstPassSettings, OnnxSettings
from testing.asking import INSTRUCTIONS


@pytest.mark.parametrize("kind", ["onnx", "rehearsal"])
def test_the_settings_name_the_engine(kind: str) -> None:
    assert build_engine(EngineSettings.model_validate({"kind": kind})).describe(INSTRUCTIONS).kind == kind


def test_a_remote_engine_is_not_reached_before_it_starts() -> None:
    assert isinstance(build_engine(EngineSettings(kind="openai")), VisionEngine)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("engine", "library"):
        monkeypatch.delitem(sys.modules, f"service.inference.onnx.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EngineConfigurationError, match=r"engine\.kind: .*onnxruntime.*requirements/onnx.txt"):
        build_engine(EngineSettings(kind="onnx"))


def test_a_missing_vllm_is_named_with_both_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "service.inference.vllm.model", raising=False)
    monkeypatch.setattr("os.environ", {})
    monkeypatch.setitem(sys.modules, "vllm.exceptions", None)
    monkeypatch.setitem(sys.modules, "vllm", None)
    message = r"engine\.kind: .*vllm.*make install-gpu.*the extra 'gpu' \('cpu'\)"
    with pytest.raises(EngineConfigurationError, match=message):
        build_engine(EngineSettings(kind="vllm"))


def test_another_engine_does_not_load_onnxruntime() -> None:
    code = """
import sys
from service.inference.factory import build_engine, build_passes
from service.settings.engine import EngineSettings
build_engine(EngineSettings(kind="rehearsal"))
assert not {"onnxruntime", "vllm", "torch"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_catalogue_that_is_not_there_is_named() -> None:
    settings = EngineSettings(onnx=OnnxSettings(classifiers=Path("none.yaml")))
    with pytest.raises(EngineConfigurationError, match=r"engine\.onnx\.classifiers: none\.yaml"):
        build_engine(settings)


async def test_a_first_pass_whose_classifiers_are_not_there_ends_the_start_and_names_its_setting() -> None:
    first = FirstPassSettings(kind="onnx", onnx=OnnxSettings(classifiers=Path("none.yaml")))
    engine = build_passes(EngineSettings(kind="rehearsal", first_pass=first))
    with pytest.raises(EngineConfigurationError, match=r"^engine\.first_pass\.onnx\.classifiers: none\.yaml"):
        await engine.start()
    await engine.stop()


@pytest.mark.parametrize("kind", ["vllm", "rehearsal"])
def test_a_first_pass_takes_no_second_engine_of_a_large_kind(kind: str) -> None:
    with pytest.raises(ValidationError, match="serve it and take openai"):
        FirstPassSettings.model_validate({"kind": kind})
