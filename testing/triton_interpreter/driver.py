"""A driver of Triton for CPUs, which Triton's interpreter needs no more of than its name."""

from typing import Any

import torch
from triton.backends.compiler import GPUTarget
from triton.backends.driver import DriverBase


class CpuDriver(DriverBase):  # type: ignore[misc]  # Triton has no types
    """What Triton's list of backends asks for."""

    def __init__(self) -> None:
        """Load nothing."""

    @staticmethod
    def is_active() -> bool:
        """Return whether the machine has one."""
        return True

    def map_python_to_cpp_type(self, ty: str) -> str:
        """Never called."""
        raise NotImplementedError

    def get_current_target(self) -> Any:
        """Return the target."""
        return GPUTarget("cpu", 0, 1)

    def get_active_torch_device(self) -> torch.device:
        """Return where tensors are."""
        return torch.device("cpu")

    def get_benchmarker(self) -> Any:
        """Never called."""
        raise NotImplementedError
