"""Drains and ends the service when it exceeds a limit, before the kernel or the GPU does so."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence

import psutil
import structlog

from service.core.errors import FatalError
from service.runtime.nvml import Gpus
from service.runtime.process_tree import memory_bytes

log = structlog.get_logger(__name__)

_EVERY_S = 5.0
"""A look costs some milliseconds; memory that is lost over days, or a GPU that warms up, needs none more often."""

Limit = Callable[[], FatalError | None]
"""Measures, and returns what the process is to end with if the limit is exceeded; blocks, and is called in a thread."""


class LimitGuard:
    """Requests a drain when a limit is exceeded, and raises the limit's error after the drain."""

    def __init__(self, limits: Sequence[Limit], *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._limits = tuple(limits)
        self._sleep = sleep
        self._error: FatalError | None = None

    async def watch(self, drain: Callable[[], None]) -> None:
        """Return once a drain was requested; never return while no limit is exceeded."""
        while (error := await asyncio.to_thread(self._look)) is None:
            await self._sleep(_EVERY_S)
        self._error = error
        log.warning("service.limit_exceeded", error=error)
        drain()

    def check(self) -> None:
        """Raise the error of the exceeded limit, if this guard requested the drain."""
        if self._error is not None:
            raise self._error

    def _look(self) -> FatalError | None:
        return next((error for limit in self._limits if (error := limit()) is not None), None)


class MemoryLimitError(FatalError):
    """The service holds more memory than `engine.max_memory_bytes`; it committed the records in flight."""

    reason = "service.memory_limit"
    message = "The service and its processes hold {held_bytes} bytes of memory; the limit is {limit_bytes}"


class MemoryNotMeasurableError(FatalError):
    """A limit is set where memory cannot be measured."""

    reason = "service.memory_not_measurable"
    message = "{setting}: memory is measured on Linux only"


def own_memory_bytes() -> int:
    """Return the memory of this process and its descendants, in bytes."""
    return memory_bytes(os.getpid())


def memory_limits(limit_bytes: int, *, setting: str, measure: Callable[[], int] = own_memory_bytes) -> list[Limit]:
    """Return the limit, or none for 0; raise `MemoryNotMeasurableError`, naming the setting, if it cannot be kept."""
    if not limit_bytes:
        return []
    if not psutil.LINUX:
        raise MemoryNotMeasurableError(setting=setting)

    def exceeded() -> FatalError | None:
        held_bytes = measure()
        if held_bytes <= limit_bytes:
            return None
        return MemoryLimitError(held_bytes=held_bytes, limit_bytes=limit_bytes)

    return [exceeded]


class TemperatureLimitError(FatalError):
    """A GPU is hotter than `engine.max_gpu_temperature_c`; the service committed the records in flight."""

    reason = "service.temperature_limit"
    message = "GPU {gpu} has {temperature_c} °C; the limit is {limit_c} (engine.max_gpu_temperature_c)"


class TemperatureNotMeasurableError(FatalError):
    """A temperature limit is set, but no GPU reports its temperature."""

    reason = "service.temperature_not_measurable"
    message = "{setting}: no GPU reports its temperature: {detail}"


def temperature_limits(limit_c: int, gpus: Gpus, *, setting: str) -> list[Limit]:
    """Return the limit, or none for 0; raise `TemperatureNotMeasurableError` if it cannot be kept.

    A driver that falls silent later ends nothing: the engine notices by itself when its GPU is gone.
    """
    if not limit_c:
        return []
    readings = gpus.read()
    if all(reading.temperature_c is None for reading in readings.gpus):
        detail = readings.absence or "the driver does not have it"
        raise TemperatureNotMeasurableError(setting=setting, detail=detail)

    def exceeded() -> FatalError | None:
        temperatures = [(reading.temperature_c or 0, reading.gpu) for reading in gpus.read().gpus]
        temperature_c, gpu = max(temperatures, default=(0, ""))
        if temperature_c <= limit_c:
            return None
        return TemperatureLimitError(gpu=gpu, temperature_c=temperature_c, limit_c=limit_c)

    return [exceeded]
