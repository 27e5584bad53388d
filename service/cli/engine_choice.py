"""The option `--engine`: an engine of the package instead of that of the settings."""

import os
from typing import Annotated, Literal

import typer

from service.settings.settings import Settings
from service.tools.demo.tiny_model import with_tiny_model

EngineOption = Annotated[
    Literal["embedded", "tiny"] | None,
    typer.Option(help="embedded: the CPU engine. tiny: a tiny Qwen3-VL in vLLM. Default: the settings' engine."),
]


def with_engine(settings: Settings, engine: Literal["embedded", "tiny"] | None) -> Settings:
    """Return the settings with the chosen engine; raises `EngineConfigurationError` if it is not installed."""
    match engine:
        case "tiny":
            # vLLM's notes about this machine would bury what the command prints; an operator's own level stays.
            os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
            return with_tiny_model(settings)
        case "embedded":
            return settings.model_copy(update={"engine": settings.engine.model_copy(update={"kind": "onnx"})})
        case None:
            return settings
