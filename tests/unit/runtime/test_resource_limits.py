import asyncio
from collections.abc import Callable

import psutil
import pytest

from service.core.errors import FatalError
from service.runtime.nvml import Gpus
from service.runtime.resource_limits import (
    LimitGuard,
    MemoryLimitError,
    MemoryNotMeasurableError,
    TemperatureLimitError,
    TemperatureNotMeasurableError,
    memory_limits,
    own_memory_bytes,
    temperature_limits,
)
from tests.unit.runtime.fake_nvml import FakeNvml


class TooMuchError(FatalError):
    """A limit of these tests is exceeded."""

    reason = "test.too_much"
    message = "{held} is too much"


class Load:
    """Holds the given readings, one after the other; more than 10 is too much."""

    def __init__(self, *held: int) -> None:
        self._held = list(held)
        self.slept_s: list[float] = []

    def limit(self) -> FatalError | None:
        held = self._held.pop(0)
        return TooMuchError(held=held) if held > 10 else None

    async def sleep(self, delay_s: float) -> None:
        self.slept_s.append(delay_s)

    def guard(self, *others: Callable[[], FatalError | None]) -> LimitGuard:
        return LimitGuard([*others, self.limit], sleep=self.sleep)


def gpus(nvml: FakeNvml) -> Gpus:
    times = iter(range(0, 1000, 10))
    return Gpus(nvml=lambda: nvml, environment={}, clock=lambda: next(times))


async def test_what_exceeds_a_limit_asks_for_a_drain_once() -> None:
    load, drains = Load(1, 10, 11), []
    await load.guard().watch(lambda: drains.append("drain"))
    assert drains == ["drain"]
    assert len(load.slept_s) == 2


async def test_the_drain_ends_in_the_limits_own_error() -> None:
    guard = Load(11).guard(lambda: None)
    guard.check()
    await guard.watch(lambda: None)
    with pytest.raises(TooMuchError, match="11 is too much"):
        guard.check()


async def test_without_limits_there_is_no_drain() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await LimitGuard([]).watch(lambda: pytest.fail("drained"))


def test_memory_above_the_limit_is_reported_with_how_much_is_held() -> None:
    held = iter([1000, 1001])
    (limit,) = memory_limits(1000, setting="limit", measure=lambda: next(held))
    assert limit() is None
    error = limit()
    assert isinstance(error, MemoryLimitError)
    assert "hold 1001 bytes of memory; the limit is 1000" in str(error)


def test_a_memory_limit_of_0_is_none() -> None:
    assert memory_limits(0, setting="limit", measure=lambda: pytest.fail("measured")) == []


def test_a_memory_limit_that_cannot_be_kept_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "LINUX", False)
    with pytest.raises(MemoryNotMeasurableError, match=r"engine\.max_memory_bytes"):
        memory_limits(1000, setting="engine.max_memory_bytes")
    assert memory_limits(0, setting="engine.max_memory_bytes") == []


def test_this_process_holds_memory() -> None:
    assert own_memory_bytes() > 10_000_000


def test_a_gpu_above_the_limit_is_reported_with_its_temperature() -> None:
    nvml = FakeNvml(temperature_c=80)
    (limit,) = temperature_limits(80, gpus(nvml), setting="limit")
    assert limit() is None
    nvml.temperature_c = 81
    error = limit()
    assert isinstance(error, TemperatureLimitError)
    assert "GPU 0 has 81 °C; the limit is 80" in str(error)


def test_a_driver_that_falls_silent_ends_nothing() -> None:
    nvml = FakeNvml()
    (limit,) = temperature_limits(80, gpus(nvml), setting="limit")
    nvml.broken = True
    assert limit() is None


def test_a_temperature_limit_of_0_is_none() -> None:
    assert temperature_limits(0, gpus(FakeNvml(has_driver=False)), setting="limit") == []


@pytest.mark.parametrize("nvml", [FakeNvml(has_driver=False), FakeNvml(gpus=0), FakeNvml(temperature_c=None)])
def test_a_temperature_limit_that_cannot_be_kept_is_refused(nvml: FakeNvml) -> None:
    with pytest.raises(TemperatureNotMeasurableError, match=r"engine\.max_gpu_temperature_c"):
        temperature_limits(80, gpus(nvml), setting="engine.max_gpu_temperature_c")
