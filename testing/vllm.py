"""The tiny Qwen3-VL in the real vLLM, set up to start fast and to leave the machine to others."""

from typing import TYPE_CHECKING

from service.core.errors import FatalError
from service.settings.vllm import VllmSettings
from service.tools.demo.tiny_model import VLLM
from testing.tiny_model.tiny import model_folder

if TYPE_CHECKING:
    from service.inference.vllm.model import VllmModel

ENVIRONMENT = {
    # The engine would bind a thread to each core, and the tests share two.
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

STARTUP_TIMEOUT_S = 900.0
"""A start takes 15 to 25 s of CPU, and the machine may have other things to do."""


def tiny_settings(**changes: object) -> VllmSettings:
    """Return the settings of `--engine tiny`, with changes."""
    own = {"model": str(model_folder()), "startup_timeout_s": STARTUP_TIMEOUT_S}
    return VllmSettings.model_validate({**VLLM, **own, **changes})


def new_model(
    settings: VllmSettings, *, stall_s: float = 120.0, traces_url: str | None = None, chat_images: int = 0
) -> "tuple[VllmModel, list[FatalError]]":
    """Return a model that has not started, and what it reports of its failures."""
    from service.inference.vllm.model import VllmModel  # noqa: PLC0415 - takes half a minute, and is not everywhere

    failures: list[FatalError] = []
    model = VllmModel(
        settings, stall_s=stall_s, on_failure=failures.append, traces_url=traces_url, chat_images=chat_images
    )
    return model, failures
