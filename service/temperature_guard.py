"""A limit on the temperature of GPUs."""

from service.errors import FatalError
from service.gpu_readings import Gpus
from service.limit_guard import Limit


class TemperatureLimitError(FatalError):
    """A GPU is hotter than it may be; what was in flight is committed, and the service wants to be started again."""

    reason = "service.temperature_limit"
    message = "GPU {gpu} has {temperature_c} °C; the limit is {limit_c} (engine.max_gpu_temperature_c)"


class TemperatureNotMeasurableError(FatalError):
    """A limit is set where no GPU tells its temperature."""

    reason = "service.temperature_not_measurable"
    message = "{setting}: no GPU tells its temperature: {detail}"


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
        told = [(reading.temperature_c or 0, reading.gpu) for reading in gpus.read().gpus]
        temperature_c, gpu = max(told, default=(0, ""))
        if temperature_c <= limit_c:
            return None
        return TemperatureLimitError(gpu=gpu, temperature_c=temperature_c, limit_c=limit_c)

    return [exceeded]
