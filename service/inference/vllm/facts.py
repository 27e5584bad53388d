"""The facts of a model that is loaded, for verdicts."""

from typing import Any

import structlog

from service.inference.vision.token_model import ModelFacts
from service.inference.vllm.arguments import concurrency, is_pinned
from service.inference.vllm.model_files import model_name, model_revision
from service.inference.vllm.processes import loaded_precision
from service.settings.vllm import VllmSettings

log = structlog.get_logger(__name__)


async def model_facts(engine: Any, settings: VllmSettings) -> ModelFacts:
    """Return the facts of the model in vLLM's engine. Logs a warning if the hub may give another one next time."""
    config = engine.model_config
    revision = model_revision(config.model, commit=getattr(config.hf_config, "_commit_hash", None))
    if not is_pinned(settings):
        log.warning("engine.revision_not_pinned", model=settings.model, setting="engine.vllm.revision", commit=revision)
    return ModelFacts(
        name=model_name(settings.model),
        revision=revision,
        precision=loaded_precision(config),
        concurrency=concurrency(settings),
        label_source="exact",
        max_vision_tokens=settings.max_vision_tokens,
        runtime=runtime(await engine.collective_rpc("loaded_parts")),
    )


def runtime(parts: list[list[str]]) -> str:
    """Return the name of the runtime from the parts that each worker loaded; workers are alike, as a rule."""
    return " | ".join(sorted({", ".join(each) for each in parts}))
