"""Numbers as Grafana writes them."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

Steps = Sequence[tuple[float, float, str]]
"""From this size on, divide by this and write that behind it; the largest first."""

BINARY: Steps = ((1024**3, 1024**3, " GiB"), (1024**2, 1024**2, " MiB"), (1024, 1024, " KiB"), (0, 1, " B"))
THOUSANDS: Steps = ((1e9, 1e9, " G"), (1e6, 1e6, " M"), (1e3, 1e3, " K"), (0, 1, ""))
SECONDS: Steps = ((7200, 3600, " h"), (120, 60, " min"), (1, 1, " s"), (1e-12, 0.001, " ms"), (0, 1, " s"))


def written(value: float, unit: str) -> str:
    """Return a number with its unit."""
    if not math.isfinite(value):
        return "no data"
    return _UNITS.get(unit, _plain)(value)


def _stepped(value: float, steps: Steps) -> str:
    size, name = next((size, name) for least, size, name in steps if abs(value) >= least)
    return f"{value / size:.3g}{name}"


def _plain(value: float) -> str:
    return _stepped(value, THOUSANDS)


def _money(value: float) -> str:
    return f"${value:.2f}" if abs(value) >= 1 or value == 0 else f"${value:.2g}"


_UNITS: Mapping[str, Callable[[float], str]] = MappingProxyType(
    {
        "percentunit": lambda value: f"{value * 100:.3g} %",
        "s": lambda value: _stepped(value, SECONDS),
        "bytes": lambda value: _stepped(value, BINARY),
        "Bps": lambda value: f"{_stepped(value, BINARY)}/s",
        "reqps": lambda value: f"{_plain(value)}/s",
        "currencyUSD": _money,
        "celsius": lambda value: f"{value:.0f} °C",
    }
)
