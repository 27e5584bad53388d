"""Counters and histograms that take half a microsecond a measurement; OpenTelemetry's SDK with two readers takes 6.

An event without a model has eight measurements, and no more than 5 % of its throughput may go to telemetry. The SDK
reads the counters when it collects. It has no way to read histograms, so `histogram_export` adds them to what leaves
the process. Measurements are made in the thread of the event loop; readers run in others.
"""

import math
import time
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.trace import SpanContext

from service.core.spans import CURRENT

Labels = Mapping[str, str]
Key = tuple[tuple[str, str | bool], ...]
"""Names and values of labels."""

MAX_SERIES = 2000
"""Series of one counter, the SDK's own limit; what comes later is counted in one more series."""

_NO_LABELS: Labels = MappingProxyType({})
_OVERFLOW: Key = (("otel.metric.overflow", True),)
_PROMETHEUS_UNITS = {"s": "_seconds", "By": "_bytes", "Cel": "_celsius"}


@dataclass(frozen=True, slots=True)
class Declaration:
    """One instrument."""

    kind: Literal["counter", "histogram", "gauge"]
    name: str
    unit: str
    """In UCUM; what is counted stands in braces."""
    description: str
    attributes: tuple[str, ...]
    """Names of its labels."""
    boundaries: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, in its unit; one more bucket is above them."""

    @property
    def prometheus_name(self) -> str:
        """Its name in a scrape, by OpenTelemetry's rules, without what a histogram's series add to it."""
        ending = "_total" if self.kind == "counter" else ""
        return self.name.replace(".", "_") + _PROMETHEUS_UNITS.get(self.unit, "") + ending


class Counter:
    """Adds up amounts by labels, which every call names in the same order."""

    def __init__(self, declaration: Declaration) -> None:
        self._declaration = declaration
        self._is_read = False
        self._sums: dict[Key, float] = {}

    def add(self, amount: float, labels: Labels = _NO_LABELS) -> None:
        """Add an amount; 0 creates the series. Without a reader it does nothing."""
        if not self._is_read:
            return
        key: Key = tuple(labels.items())
        if key not in self._sums and len(self._sums) >= MAX_SERIES:
            key = _OVERFLOW
        self._sums[key] = self._sums.get(key, 0) + amount

    def begin(self, meter: Meter) -> None:
        """Start from nothing, and let a meter read the sums."""
        self._is_read = True
        self._sums.clear()
        declared = self._declaration
        meter.create_observable_counter(declared.name, [self._read], declared.unit, declared.description)

    def totals(self) -> dict[Key, float]:
        """Return the sums by labels."""
        return self._sums.copy()

    def _read(self, _: CallbackOptions) -> list[Observation]:
        return [Observation(total, dict(key)) for key, total in self.totals().items()]


class Series:
    """The values of a histogram that have the same labels."""

    __slots__ = ("counts", "exemplars", "highest", "lowest", "total")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.total = 0.0
        self.lowest, self.highest = math.inf, -math.inf
        self.exemplars: list[tuple[float, int, SpanContext] | None] = [None] * buckets
        """The newest of each bucket: value, nanoseconds since 1970, span."""


class Histogram:
    """Counts values by labels and buckets; labels have fixed sets of values, because nothing else bounds the series."""

    def __init__(self, declaration: Declaration) -> None:
        self.declaration = declaration
        self.began_ns = 0
        """Time since 1970 in nanoseconds; 0 without a reader."""
        self._series: dict[tuple[str, ...], Series] = {}

    def record(self, value: float, labels: Labels = _NO_LABELS) -> None:
        """Record a value, in the histogram's unit, with the current span as exemplar if it is recorded.

        Without a reader it does nothing.
        """
        if not self.began_ns:
            return
        boundaries, key = self.declaration.boundaries, tuple(labels.values())
        series = self._series.get(key) or self._series.setdefault(key, Series(len(boundaries) + 1))
        bucket = bisect_left(boundaries, value)
        series.counts[bucket] += 1
        series.total += value
        series.lowest, series.highest = min(series.lowest, value), max(series.highest, value)
        if (span := CURRENT.get()).context is not None and span.is_recording:
            series.exemplars[bucket] = (value, time.time_ns(), span.context)

    def begin(self) -> None:
        """Start from nothing."""
        self._series.clear()
        self.began_ns = time.time_ns()

    def series(self) -> dict[tuple[str, ...], Series]:
        """Return all series by the values of their labels; they go on counting."""
        return self._series.copy()
