"""Builds the engine that the settings name, and imports only the libraries of this engine."""

import os
from collections.abc import Callable

from service.core.availability import EngineAvailability
from service.core.errors import FatalError
from service.inference.engine import Engine
from service.inference.errors import EngineConfigurationError
from service.inference.onnx.catalogue import load_catalogue
from service.inference.openai.model import OpenAIModel
from service.inference.rehearsal_engine import RehearsalEngine
from service.inference.vision.engine import VisionEngine
from service.inference.vision.token_model import TokenModel
from service.inference.vllm.environment import prepare_environment
from service.settings.engine import EngineSettings, OnnxSettings


def _ignored(error: FatalError) -> None:
    """Leave it to the requests that fail."""


def build_engine(
    settings: EngineSettings,
    *,
    on_failure: Callable[[FatalError], None] = _ignored,
    availability: EngineAvailability | None = None,
    traces_url: str | None = None,
) -> Engine:
    """Return an engine that is not started yet; raise `EngineConfigurationError` if it cannot be built.

    `on_failure` is called when an engine fails by itself, between requests; `availability` when the servers of a remote
    one go away and come back. An engine that makes spans of its own sends
    them to `traces_url`.
    """
    match settings.kind:
        case "onnx":
            return _build_onnx(settings.onnx)
        case "vllm":
            return VisionEngine(_build_vllm(settings, on_failure, traces_url), settings.judging, kind="vllm")
        case "rehearsal":
            return RehearsalEngine(settings.rehearsal)
        case "openai":
            return VisionEngine(OpenAIModel(settings.openai, availability), settings.judging, kind="openai")


def _build_onnx(settings: OnnxSettings) -> Engine:
    try:
        from service.inference.onnx.engine import OnnxEngine  # noqa: PLC0415 - an extra; other engines do without it
    except ModuleNotFoundError as error:
        detail = f"'onnx' needs the package {error.name}, which the extra 'onnx' brings: pip install 'modstream[onnx]'"
        raise EngineConfigurationError(setting="engine.kind", detail=detail) from error
    return OnnxEngine(load_catalogue(settings.classifiers), threads=settings.threads)


def _build_vllm(
    settings: EngineSettings, on_failure: Callable[[FatalError], None], traces_url: str | None
) -> TokenModel:
    prepare_environment(settings.vllm, os.environ, is_traced=traces_url is not None)
    try:
        from service.inference.vllm.model import VllmModel  # noqa: PLC0415 - an extra that takes seconds to import
    except ModuleNotFoundError as error:
        detail = (
            f"'vllm' needs the package {error.name}: 'make install-gpu' in a checkout brings it, and the "
            "extra 'gpu' does (pip install 'modstream[gpu]', or 'modstream[cpu]' on a machine without a GPU)"
        )
        raise EngineConfigurationError(setting="engine.kind", detail=detail) from error
    return VllmModel(settings.vllm, stall_s=settings.stall_s, on_failure=on_failure, traces_url=traces_url)
