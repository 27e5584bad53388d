"""The tiny Qwen3-VL in the real vLLM, set up to start fast and to leave the machine to others."""

import os
from typing import TYPE_CHECKING

from service.core.errors import FatalError
from service.inference.engine import Engine
from service.inference.factory import build_engine
from service.settings.engine import EngineSettings, JudgingSettings
from service.settings.vllm import VllmSettings
from testing.tiny_model.tiny import model_folder

if TYPE_CHECKING:
    from service.inference.vllm.model import VllmModel

ENVIRONMENT = {
    # The engine would bind a thread to each core, and the tests share two.
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

STARTUP_TIMEOUT_S = 900.0
"""A start takes 45 s of CPU, and the machine may have other things to do."""


def tiny_settings(**changes: object) -> VllmSettings:
    """Return settings under which the tiny model starts on a CPU."""
    small = {
        "model": str(model_folder()),
        "enforce_eager": True,
        "max_model_len": 2048,
        "max_sequences": 16,
        "max_batched_tokens": 2048,
        "kv_cache_bytes": 256 * 1024 * 1024,
        "block_size": 32,
        "processor_cache_gb": 0.1,
        "min_vision_tokens": 1,
        "max_vision_tokens": 256,
        "startup_timeout_s": STARTUP_TIMEOUT_S,
    }
    return VllmSettings.model_validate(small | changes)


def new_model(
    settings: VllmSettings, *, stall_s: float = 120.0, traces_url: str | None = None
) -> "tuple[VllmModel, list[FatalError]]":
    """Return a model that has not started, and what it reports of its failures."""
    from service.inference.vllm.model import VllmModel  # noqa: PLC0415 - takes half a minute, and is not everywhere

    failures: list[FatalError] = []
    return VllmModel(settings, stall_s=stall_s, on_failure=failures.append, traces_url=traces_url), failures


def tiny_engine() -> Engine:
    """Return an engine on the tiny model that has not started; it judges whatever the model says of noise."""
    os.environ.update(ENVIRONMENT)
    judging = JudgingSettings(min_label_mass=0.0)
    return build_engine(EngineSettings(kind="vllm", vllm=tiny_settings(), judging=judging))
