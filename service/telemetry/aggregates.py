"""Counters and histograms in OpenTelemetry's data model that cost a microsecond a measurement.

OpenTelemetry's SDK takes seven: an event has a dozen measurements, and these may take no share of the work that anyone
would notice. What is gathered here leaves through the SDK's exporters, see `service.telemetry.readers`. Counted is in
the event loop's thread; other threads may read.
"""

import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from opentelemetry.trace import get_current_span

Labels = Mapping[str, str]
Key = tuple[tuple[str, str], ...]

MAX_SERIES = 2000
"""Of one instrument, as in OpenTelemetry's SDK: what comes later is counted together, so that a label that grows
without bound by a mistake costs its own instrument alone."""

OVERFLOW: Key = (("otel.metric.overflow", "true"),)
"""The labels of what is counted together, by OpenTelemetry's specification."""

_NO_LABELS: Labels = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Example:
    """One measurement whose trace is kept: the way from a bucket to a record."""

    value: float
    at_s: float
    trace_id: int
    span_id: int


class Counter:
    """Sums by labels."""

    __slots__ = ("_sums", "is_on")

    def __init__(self) -> None:
        self._sums: dict[Key, float] = {}
        self.is_on = False
        """Nothing is counted before somebody is to read it."""

    def add(self, amount: float, labels: Labels = _NO_LABELS) -> None:
        """Add an amount; 0 makes the series known."""
        if not self.is_on:
            return
        key = tuple(labels.items())
        if key not in self._sums and len(self._sums) >= MAX_SERIES:
            key = OVERFLOW
        self._sums[key] = self._sums.get(key, 0) + amount

    def sums(self) -> dict[Key, float]:
        """Return a copy."""
        return dict(self._sums)

    def reset(self) -> None:
        """Forget everything."""
        self._sums.clear()


class Series:
    """The measurements of one histogram that have the same labels."""

    __slots__ = ("counts", "examples", "total")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * buckets
        self.total = 0.0
        self.examples: list[Example | None] = [None] * buckets
        """The newest of each bucket."""


class Histogram:
    """Counts by labels and by buckets."""

    __slots__ = ("_series", "boundaries", "is_on")

    def __init__(self, boundaries: Sequence[float]) -> None:
        self.boundaries = tuple(boundaries)
        """Upper bounds, each within its bucket; one more bucket is above them."""
        self._series: dict[Key, Series] = {}
        self.is_on = False
        """As of counters."""

    def record(self, value: float, labels: Labels = _NO_LABELS) -> None:
        """Take in a measurement, with the trace of the current span if that is kept."""
        if not self.is_on:
            return
        key = tuple(labels.items())
        series = self._series.get(key) or self._begin(key)
        bucket = bisect_left(self.boundaries, value)
        series.counts[bucket] += 1
        series.total += value
        span = get_current_span().get_span_context()
        if span.trace_flags.sampled:
            series.examples[bucket] = Example(value, time.time(), span.trace_id, span.span_id)

    def series(self) -> dict[Key, Series]:
        """Return all series; they go on counting."""
        return dict(self._series)

    def reset(self) -> None:
        """Forget everything."""
        self._series.clear()

    def _begin(self, key: Key) -> Series:
        if len(self._series) >= MAX_SERIES:
            key = OVERFLOW
        return self._series.setdefault(key, Series(len(self.boundaries) + 1))
