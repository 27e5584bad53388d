"""What the driver reports of GPUs, and what is reported without one."""

import pytest

from service.runtime.nvml import Gpus
from tests.unit.runtime.fake_nvml import FakeNvml


def gpus(nvml: FakeNvml, **environment: str) -> Gpus:
    return Gpus(nvml=lambda: nvml, environment=environment)


def test_a_gpu_is_read_with_memory_temperature_and_utilization() -> None:
    (gpu,) = gpus(FakeNvml()).read().gpus
    assert (gpu.gpu, gpu.memory_used_bytes, gpu.memory_total_bytes) == ("0", 10 * 2**30, 80 * 2**30)
    assert (gpu.temperature_c, gpu.utilization) == (60, 0.75)


def test_a_part_of_a_gpu_has_memory_alone() -> None:
    (gpu,) = gpus(FakeNvml(temperature_c=None)).read().gpus
    assert (gpu.temperature_c, gpu.utilization) == (None, None)
    assert gpu.memory_total_bytes


@pytest.mark.parametrize(
    ("visible", "read"), [("1", ["1"]), ("2,0", ["2", "0"]), ("GPU-1", ["1"]), ("", []), ("-1", [])]
)
def test_only_what_cuda_shows_to_this_process_is_read(visible: str, read: list[str]) -> None:
    readings = gpus(FakeNvml(gpus=3), CUDA_VISIBLE_DEVICES=visible).read()
    assert [gpu.gpu for gpu in readings.gpus] == read


@pytest.mark.parametrize(
    ("nvml", "reason"),
    [
        (FakeNvml(has_driver=False), "NVML is not available: Driver Not Loaded"),
        (FakeNvml(broken=True), "NVML cannot read the GPUs: GPU is lost"),
        (FakeNvml(gpus=0), "no GPU is visible to this process"),
    ],
)
def test_why_there_is_none_is_reported(nvml: FakeNvml, reason: str) -> None:
    readings = gpus(nvml).read()
    assert (readings.gpus, readings.absence) == ((), reason)


def test_a_missing_library_is_a_reason_like_any_other() -> None:
    def missing() -> FakeNvml:
        raise ModuleNotFoundError("No module named 'pynvml'")

    assert "No module named" in (Gpus(nvml=missing, environment={}).read().absence or "")


def test_figures_of_one_scrape_are_read_once_and_then_anew() -> None:
    nvml, now_s = FakeNvml(), [0.0]
    reader = Gpus(nvml=lambda: nvml, environment={}, clock=lambda: now_s[0])
    for at_s in (0.0, 0.5, 0.9, 1.0):
        now_s[0] = at_s
        reader.read()
    assert nvml.reads == 2


def test_this_machine_has_gpus_or_a_reason() -> None:
    readings = Gpus().read()
    assert bool(readings.gpus) != bool(readings.absence)
