"""The tiny Qwen3-VL of the package: a vision-language model that a CPU runs, its policy, its pictures, its settings."""

from collections.abc import Mapping
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

from service.inference.errors import EngineConfigurationError
from service.settings.settings import PolicySettings, Settings
from service.settings.vllm import VllmSettings

HOME = Path(str(files("service.tools.demo").joinpath("tiny")))
MODEL = HOME / "qwen3-vl-tiny"
POLICY = HOME / "shapes.yaml"
PICTURES = HOME / "pictures"

POLICY_NAME = "shapes"

# Starts within a minute on two cores, in 1.5 GiB; larger steps and compiled graphs gain nothing for so small a model.
VLLM: Mapping[str, object] = MappingProxyType(
    {
        "model": str(MODEL),
        "precision": "bf16",
        "enforce_eager": True,
        "max_model_len": 2048,
        "max_sequences": 16,
        "max_batched_tokens": 2048,
        # Set, so that a CPU's memory is not reserved by the fraction.
        "kv_cache_bytes": 256 * 1024 * 1024,
        "block_size": 32,
        "processor_cache_gb": 0.1,
        # It was trained with images this small; larger ones are taken as they are up to 512 × 512 pixels.
        "min_vision_tokens": 1,
        "max_vision_tokens": 256,
        "startup_timeout_s": 900.0,
        # The model runs in the engine's process. A process of its own imports vLLM again: 11 s of CPU and 1 GB.
        "engine_args": {"distributed_executor_backend": "uni"},
    }
)


def with_tiny_model(settings: Settings) -> Settings:
    """Return settings whose engine is the tiny model and whose policy is the one that it was taught.

    Raises `EngineConfigurationError` if vLLM is not installed or the model is not part of this installation.
    """
    if find_spec("vllm") is None:
        raise EngineConfigurationError(
            setting="--engine tiny",
            detail=(
                "the model runs in vLLM, which is not installed: run 'make install' in a checkout, and start the "
                "command as .venv/bin/modstream; without --engine tiny the embedded engine judges"
            ),
        )
    if not (MODEL / "model.safetensors").is_file():
        detail = f"{MODEL} has no weights: install modstream from its wheel or from a whole checkout"
        raise EngineConfigurationError(setting="--engine tiny", detail=detail)
    vllm = VllmSettings.model_validate(VLLM)
    engine = settings.engine.model_copy(update={"kind": "vllm", "vllm": vllm})
    policy = PolicySettings(path=POLICY, default=POLICY_NAME)
    return settings.model_copy(update={"engine": engine, "policy": policy})
