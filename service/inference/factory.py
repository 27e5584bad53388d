"""Builds the engine that the settings name, and imports only the libraries of this engine."""

import os
from collections.abc import Callable
from functools import partial

from service.core.availability import EngineAvailability
from service.core.errors import FatalError
from service.inference.engine import Engine
from service.inference.errors import EngineConfigurationError
from service.inference.first_pass.engine import FirstPassEngine
from service.inference.first_pass.smaller import SmallerEngine
from service.inference.onnx.catalogue import load_catalogue
from service.inference.openai.model import OpenAIModel
from service.inference.rehearsal_engine import RehearsalEngine
from service.inference.vision.engine import VisionEngine
from service.inference.vllm.adapter_check import AdapterCheck
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
    chat_images: int = 0,
) -> Engine:
    """Return an engine that is not started yet; raise `EngineConfigurationError` if it cannot be built.

    `on_failure` is called when an engine fails by itself, between requests; `availability` when the servers of a remote
    one go away and come back. An engine that makes spans of its own sends
    them to `traces_url`. `chat_images` are the most images of one chat; 0 does without chats.
    """
    match settings.kind:
        case "onnx":
            return _build_onnx(settings.onnx)
        case "vllm":
            return _build_vllm(settings, on_failure, traces_url, chat_images)
        case "rehearsal":
            return RehearsalEngine(settings.rehearsal)
        case "openai":
            fleet = OpenAIModel(settings.openai, availability)
            return VisionEngine(fleet, settings.judging, kind="openai", chat=fleet.chat)


def build_passes(
    settings: EngineSettings,
    *,
    on_failure: Callable[[FatalError], None] = _ignored,
    availability: EngineAvailability | None = None,
    traces_url: str | None = None,
    chat_images: int = 0,
) -> FirstPassEngine:
    """Return the engine of `build_engine` with the first passes that policies may have; the arguments are the same."""
    main = build_engine(
        settings, on_failure=on_failure, availability=availability, traces_url=traces_url, chat_images=chat_images
    )
    first = settings.first_pass
    if first.kind == "none":
        return FirstPassEngine(main)
    of_its_own = settings.model_copy(update={"kind": first.kind, "onnx": first.onnx, "openai": first.openai})
    smaller = SmallerEngine(
        partial(build_engine, of_its_own),
        timeout_s=first.timeout_s,
        wait_s=first.wait_s,
        # Its files are there or are not, as those of the main engine.
        must_start=first.kind == "onnx",
    )
    return FirstPassEngine(main, smaller)


def _build_onnx(settings: OnnxSettings) -> Engine:
    try:
        from service.inference.onnx.engine import OnnxEngine  # noqa: PLC0415 - an extra; other engines do without it
    except ModuleNotFoundError as error:
        detail = (
            f"'onnx' needs the package {error.name}: install what requirements/onnx.txt of a checkout pins, or the "
            "extra 'onnx' of the package"
        )
        raise EngineConfigurationError(setting="engine.kind", detail=detail) from error
    return OnnxEngine(load_catalogue(settings.classifiers), threads=settings.threads)


def _build_vllm(
    settings: EngineSettings, on_failure: Callable[[FatalError], None], traces_url: str | None, chat_images: int
) -> Engine:
    prepare_environment(settings.vllm, os.environ, is_traced=traces_url is not None)
    try:
        from service.inference.vllm.model import VllmModel  # noqa: PLC0415 - an extra that takes seconds to import
    except ModuleNotFoundError as error:
        detail = (
            f"'vllm' needs the package {error.name}: run 'make install-gpu' in a checkout ('make install' on a "
            "machine without a GPU), or install the extra 'gpu' ('cpu') of the package"
        )
        raise EngineConfigurationError(setting="engine.kind", detail=detail) from error
    model = VllmModel(
        settings.vllm,
        stall_s=settings.stall_s,
        on_failure=on_failure,
        traces_url=traces_url,
        chat_images=chat_images,
    )
    check = AdapterCheck(settings.vllm)
    return VisionEngine(model, settings.judging, kind="vllm", chat=model.chat, check_adapter=check)
