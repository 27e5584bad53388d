"""The tiny model and its adapter in the service's own runtime, for measuring what they know."""

import os
from pathlib import Path

from service.inference.vision.token_model import TokenModel
from service.inference.vllm.environment import prepare_environment
from testing.tiny_model.shapes import ADAPTER
from testing.tiny_model.tiny import adapter_folder
from testing.vllm import ENVIRONMENT, new_model, tiny_settings

# A start takes 25 s of CPU, of which a busy machine may give little.
_STARTUP_S = 900.0


def runtime(folder: Path) -> TokenModel:
    """Return a model that has not started, with room for as many questions side by side as are asked."""
    adapters = (f"{ADAPTER}={adapter_folder()}",) if adapter_folder().exists() else ()
    settings = tiny_settings(
        model=str(folder),
        adapters=adapters,
        max_lora_rank=8,
        max_sequences=32,
        max_batched_tokens=4096,
        startup_timeout_s=_STARTUP_S,
    )
    os.environ.update(ENVIRONMENT)
    prepare_environment(settings, os.environ)
    model, _ = new_model(settings, stall_s=300.0)
    return model
