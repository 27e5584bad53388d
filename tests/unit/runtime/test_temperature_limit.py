import pytest

from service.runtime.nvml import Gpus
from service.runtime.resource_limits import TemperatureLimitError, TemperatureNotMeasurableError, temperature_limits
from tests.unit.runtime.fake_nvml import FakeNvml


def gpus(nvml: FakeNvml) -> Gpus:
    times = iter(range(0, 1000, 10))
    return Gpus(nvml=lambda: nvml, environment={}, clock=lambda: next(times))


def test_a_gpu_above_the_limit_is_told_with_its_temperature() -> None:
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


def test_a_limit_of_0_is_none() -> None:
    assert temperature_limits(0, gpus(FakeNvml(has_driver=False)), setting="limit") == []


@pytest.mark.parametrize("nvml", [FakeNvml(has_driver=False), FakeNvml(gpus=0), FakeNvml(temperature_c=None)])
def test_a_limit_that_cannot_be_kept_is_refused(nvml: FakeNvml) -> None:
    with pytest.raises(TemperatureNotMeasurableError, match=r"engine\.max_gpu_temperature_c"):
        temperature_limits(80, gpus(nvml), setting="engine.max_gpu_temperature_c")
