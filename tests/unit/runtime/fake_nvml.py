"""NVIDIA's binding on GPUs that are made up."""

from types import SimpleNamespace


class FakeNvmlError(Exception):
    """What the driver refuses."""


class FakeNvml:
    """As much of `pynvml` as the service uses."""

    NVMLError = FakeNvmlError
    NVML_TEMPERATURE_GPU = 0

    def __init__(
        self, *, gpus: int = 1, temperature_c: int | None = 60, broken: bool = False, has_driver: bool = True
    ) -> None:
        self.gpus = gpus
        self.temperature_c = temperature_c
        self.broken = broken
        self.reads = 0
        self._has_driver = has_driver

    def nvmlInit(self) -> None:  # noqa: N802 - NVML's name
        if not self._has_driver:
            raise FakeNvmlError("Driver Not Loaded")

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802 - NVML's name
        if self.broken:
            raise FakeNvmlError("GPU is lost")
        return self.gpus

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802 - NVML's name
        if index >= self.gpus:
            raise FakeNvmlError("Invalid Argument")
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802 - NVML's name
        return int(uuid.removeprefix("GPU-"))

    def nvmlDeviceGetIndex(self, handle: int) -> int:  # noqa: N802 - NVML's name
        return handle

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:  # noqa: N802 - NVML's name
        self.reads += 1
        return SimpleNamespace(used=(10 + 10 * handle) * 2**30, total=80 * 2**30)

    def nvmlDeviceGetTemperature(self, _handle: int, _sensor: int) -> int:  # noqa: N802 - NVML's name
        if self.temperature_c is None:
            raise FakeNvmlError("Not Supported")
        return self.temperature_c

    def nvmlDeviceGetUtilizationRates(self, _handle: int) -> SimpleNamespace:  # noqa: N802 - NVML's name
        if self.temperature_c is None:
            raise FakeNvmlError("Not Supported")
        return SimpleNamespace(gpu=75, memory=10)
