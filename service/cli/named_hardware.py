"""The cards and models that options name."""

from service.cli.exits import ExitCode
from service.cli.options import fail
from service.tools.planning.gpus import Gpu, GpuNameError, find_gpu
from service.tools.planning.models import ModelNameError, ModelShape, find_model


def gpu_named(name: str) -> Gpu:
    """Return the card that `--gpu` means, or fail as wrong usage."""
    try:
        return find_gpu(name)
    except GpuNameError as error:
        raise fail(f"--gpu: {error}", code=ExitCode.USAGE) from None


def model_named(name: str, option: str = "--model") -> ModelShape:
    """Return the model that an option means, or fail as wrong usage."""
    try:
        return find_model(name)
    except ModelNameError as error:
        raise fail(f"{option}: {error}", code=ExitCode.USAGE) from None
