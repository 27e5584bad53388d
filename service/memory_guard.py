"""A limit on memory, which some engines lose over weeks."""

import os
from collections.abc import Callable

from service.errors import FatalError
from service.limit_guard import Limit
from service.processes import can_be_listed, memory_bytes


class MemoryLimitError(FatalError):
    """The service holds more memory than it may; what was in flight is committed, and it wants to be started again."""

    reason = "service.memory_limit"
    message = "The service and what it started hold {held_bytes} bytes of memory; the limit is {limit_bytes}"


class MemoryNotMeasurableError(FatalError):
    """A limit is set where memory cannot be measured."""

    reason = "service.memory_not_measurable"
    message = "{setting}: memory is measured on Linux only"


def own_memory_bytes() -> int:
    """Return what this process and its descendants hold."""
    return memory_bytes(os.getpid())


def memory_limits(limit_bytes: int, *, setting: str, measure: Callable[[], int] = own_memory_bytes) -> list[Limit]:
    """Return the limit, or none for 0; raise `MemoryNotMeasurableError`, naming the setting, if it cannot be kept."""
    if not limit_bytes:
        return []
    if not can_be_listed():
        raise MemoryNotMeasurableError(setting=setting)

    def exceeded() -> FatalError | None:
        held_bytes = measure()
        if held_bytes <= limit_bytes:
            return None
        return MemoryLimitError(held_bytes=held_bytes, limit_bytes=limit_bytes)

    return [exceeded]
