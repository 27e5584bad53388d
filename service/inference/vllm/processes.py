"""Starts and ends the processes of vLLM's engine, whatever state they are in."""

import asyncio
import dataclasses
import logging
import os
import sys
from collections.abc import Mapping
from multiprocessing import active_children
from typing import Any

import psutil
import structlog
from vllm.config import ModelConfig
from vllm.config.logging import LoggingConfig
from vllm.config.structured_outputs import StructuredOutputsConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.platforms import current_platform
from vllm.v1.engine.async_llm import AsyncLLM

from service.inference.errors import EngineConfigurationError
from service.inference.vllm.arguments import ONLINE_FP8, engine_arguments
from service.inference.vllm.loading import load_in_thread
from service.inference.vllm.model_files import FULL_PRECISIONS, is_precision, weights_precision
from service.runtime.orphan_reaper import OrphanWatch
from service.runtime.process_tree import descendants, kill
from service.settings.vllm import VllmSettings

log = structlog.get_logger(__name__)

_GRACE_S = 5.0
"""Time for a clean end, which frees shared memory at once. Requests in the engine are no longer needed then."""


class VllmProcesses:
    """The processes of one engine."""

    def __init__(self, settings: VllmSettings, *, traces_url: str | None, images: int = 1) -> None:
        """`images` are the most of one request."""
        self._settings = settings
        self._traces_url = traces_url
        self._images = images
        self._engines: frozenset[int] = frozenset()
        self._orphans = OrphanWatch()

    async def start(self) -> AsyncLLM:
        """Load the model in processes of its own; raises `EngineConfigurationError` if that fails or takes too long."""
        settings, others = self._settings, _children()
        self._orphans.start()
        try:
            return await load_in_thread(self._load, model=settings.model, timeout_s=settings.startup_timeout_s)
        except TimeoutError:
            detail = f"loading {settings.model} takes longer than {settings.startup_timeout_s:g} s"
            raise EngineConfigurationError(setting="engine.vllm.startup_timeout_s", detail=detail) from None
        except EngineConfigurationError:
            raise
        except Exception as error:  # vLLM reports wrong arguments by a dozen unrelated classes
            detail = f"{settings.model} cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())}"
            raise EngineConfigurationError(setting="engine.vllm", detail=detail) from error
        finally:
            # Also of a load that failed or was given up: they are there to be ended.
            self._engines = _children() - others

    async def stop(self, engine: AsyncLLM | None) -> None:
        """End the engine's processes; those that do not end by themselves are killed."""
        tree = self._tree()
        if engine is not None:
            await asyncio.to_thread(engine.shutdown, timeout=_GRACE_S)
            # Its sockets are closed by now. vLLM leaves the rest to the garbage collector, which complains.
            engine.engine_core.resources.ctx.term()
        self._kill(tree)
        await asyncio.to_thread(self._orphans.stop)

    def _load(self) -> AsyncLLM:
        arguments = vllm_arguments(self._settings, self._traces_url, images=self._images)
        engine = AsyncLLM.from_engine_args(arguments)
        _log_as_the_service_does()
        return engine

    def _tree(self) -> list[psutil.Process]:
        """Return the engine's processes and what they started."""
        below = descendants(os.getpid())
        engines = [process for process in below if process.pid in self._engines]
        return engines + [process for engine in engines for process in descendants(engine.pid)]

    def _kill(self, tree: list[psutil.Process]) -> None:
        killed = [process.pid for process in tree if kill(process)]
        if killed:
            log.warning("engine.killed", processes=killed)


def _children() -> frozenset[int]:
    return frozenset(process.pid for process in active_children() if process.pid is not None)


def vllm_arguments(settings: VllmSettings, traces_url: str | None, *, images: int = 1) -> AsyncEngineArgs:
    """Return the arguments of vLLM's engine for the settings. Reads the model's configuration, from the hub if need be.

    Raises `EngineConfigurationError` if the model does not come in `engine.vllm.precision` and vLLM cannot turn it into
    that.
    """
    known = {field.name for field in dataclasses.fields(AsyncEngineArgs)}
    given = engine_arguments(
        settings, known=known, on_cpu=current_platform.is_cpu(), traces_url=traces_url, images=images
    )
    given.setdefault("logging_config", LoggingConfig(formatter="text" if sys.stderr.isatty() else "json"))
    # White space could go on for ever, and every character of it is a step. Asked for in a request it is ignored.
    given["structured_outputs_config"] = StructuredOutputsConfig(backend="xgrammar", disable_any_whitespace=True)
    arguments = AsyncEngineArgs(**given)
    return dataclasses.replace(arguments, **_quantization(settings, arguments))


def _quantization(settings: VllmSettings, arguments: AsyncEngineArgs) -> Mapping[str, Any]:
    """Return what vLLM has to do for the precision: nothing if the model comes in it.

    Raises `EngineConfigurationError` if the model comes in another one that cannot be turned into it.
    """
    if settings.precision == "auto":
        return {}
    given = loaded_precision(arguments.create_model_config())
    if settings.precision == "fp8" and given in FULL_PRECISIONS.values():
        return ONLINE_FP8
    if is_precision(given, settings.precision):
        return {}
    detail = f"{arguments.model} comes in {given}: name a model that comes in {settings.precision}"
    raise EngineConfigurationError(setting="engine.vllm.precision", detail=detail)


def loaded_precision(config: ModelConfig) -> str:
    """Return how vLLM keeps the weights of a model, as verdicts name it."""
    if config.quantization == ONLINE_FP8["quantization"]:
        return "fp8-dynamic"
    return weights_precision(
        config.model_arch_config.quantization_config, dtype=str(config.dtype).removeprefix("torch.")
    )


def _log_as_the_service_does() -> None:
    """Let vLLM's lines of this process take the service's form; those of its own processes keep vLLM's."""
    logger = logging.getLogger("vllm")
    logger.handlers.clear()
    logger.propagate = True
