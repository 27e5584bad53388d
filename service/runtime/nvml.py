"""Readings of the GPUs that this process may use, from NVIDIA's driver."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_FRESH_S = 1.0
"""Readings this young are given again: one scrape asks for several figures."""

_VISIBLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU at one moment."""

    gpu: str
    """Its number on this machine."""
    memory_used_bytes: int
    memory_total_bytes: int
    temperature_c: int | None
    """None where the driver does not report it."""
    utilization: float | None
    """Share of the last second or so in which it computed; None where the driver does not report it."""


@dataclass(frozen=True, slots=True)
class GpuReadings:
    """The readings of all GPUs that this process may use."""

    gpus: tuple[GpuReading, ...]
    absence: str | None = None
    """Why there are none; None when there are some."""


def load_nvml() -> Any:
    """Return NVIDIA's binding; an import of its own, because it takes a moment and few machines need it."""
    import pynvml  # noqa: PLC0415 - see above

    return pynvml


class Gpus:
    """Reads the GPUs from any thread. It never fails, and gives a reason if there is nothing to read."""

    def __init__(
        self,
        *,
        nvml: Callable[[], Any] = load_nvml,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = nvml
        self._environment = environment
        self._clock = clock
        self._nvml: Any = None  # NVIDIA's binding ships no types
        self._read_at_s = -_FRESH_S
        self._readings = GpuReadings(())

    def read(self) -> GpuReadings:
        """Return the driver's readings, at most a second old."""
        now_s = self._clock()
        if now_s - self._read_at_s >= _FRESH_S:
            self._readings, self._read_at_s = self._read(), now_s
        return self._readings

    def _read(self) -> GpuReadings:
        try:
            nvml = self._started()
        except Exception as error:  # noqa: BLE001 - no library, no driver, no right to it: all mean no GPU
            return GpuReadings((), absence=f"NVML is not available: {error}")
        try:
            gpus = tuple(_reading(nvml, name, handle) for name, handle in _handles(nvml, self._environment))
        except nvml.NVMLError as error:
            return GpuReadings((), absence=f"NVML cannot read the GPUs: {error}")
        return GpuReadings(gpus, absence=None if gpus else "no GPU is visible to this process")

    def _started(self) -> Any:
        if self._nvml is None:
            nvml = self._load()
            nvml.nvmlInit()
            self._nvml = nvml
        return self._nvml


def _handles(nvml: Any, environment: Mapping[str, str]) -> Sequence[tuple[str, Any]]:
    """Return the GPUs that CUDA shows to this process; NVML itself shows all of the machine's."""
    visible = environment.get(_VISIBLE)
    names = [str(number) for number in range(nvml.nvmlDeviceGetCount())] if visible is None else visible.split(",")
    return [_handle(nvml, name.strip()) for name in names if name.strip() not in {"", "-1"}]


def _handle(nvml: Any, name: str) -> tuple[str, Any]:
    """Return a GPU by number or by what CUDA takes for an identifier, with its number."""
    if name.isdigit():
        return name, nvml.nvmlDeviceGetHandleByIndex(int(name))
    handle = nvml.nvmlDeviceGetHandleByUUID(name)
    return str(nvml.nvmlDeviceGetIndex(handle)), handle


def _reading(nvml: Any, name: str, handle: Any) -> GpuReading:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    temperature_c = _optional(nvml, lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
    percent = _optional(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    return GpuReading(
        gpu=name,
        memory_used_bytes=int(memory.used),
        memory_total_bytes=int(memory.total),
        temperature_c=temperature_c,
        utilization=None if percent is None else percent / 100,
    )


def _optional(nvml: Any, ask: Callable[[], int]) -> int | None:
    """Return a figure that not every GPU has: parts of one, as MIG makes them, have neither of the two."""
    try:
        return int(ask())
    except nvml.NVMLError:
        return None
