"""Declares instruments, and lets all of them begin together."""

from collections.abc import Sequence

from opentelemetry.metrics import Meter

from service.telemetry.aggregation import Counter, Declaration, Histogram


class InstrumentRegistry:
    """The instruments of a module, in its order."""

    def __init__(self) -> None:
        self._declared: list[Declaration] = []
        self._counters: list[Counter] = []
        self._histograms: list[Histogram] = []

    def declarations(self) -> tuple[Declaration, ...]:
        """Return every instrument, in the order of the module."""
        return tuple(self._declared)

    def histograms(self) -> tuple[Histogram, ...]:
        """Return every histogram, in the order of the module."""
        return tuple(self._histograms)

    def begin(self, meter: Meter) -> None:
        """Let every counter and histogram start from nothing, and a meter read the counters."""
        for counter in self._counters:
            counter.begin(meter)
        for histogram in self._histograms:
            histogram.begin()

    def counter(self, name: str, unit: str, description: str, *attributes: str) -> Counter:
        """Declare a counter with the names of its labels."""
        counter = Counter(self._declare(Declaration("counter", name, unit, description, attributes)))
        self._counters.append(counter)
        return counter

    def histogram(
        self, name: str, unit: str, description: str, *attributes: str, boundaries: Sequence[float]
    ) -> Histogram:
        """Declare a histogram with the names of its labels, and the upper bounds of its buckets in its unit."""
        declared = Declaration("histogram", name, unit, description, attributes, tuple(boundaries))
        histogram = Histogram(self._declare(declared))
        self._histograms.append(histogram)
        return histogram

    def gauge(self, name: str, unit: str, description: str, *attributes: str) -> Declaration:
        """Declare a gauge with the names of its labels; `service.monitoring` reads it."""
        return self._declare(Declaration("gauge", name, unit, description, attributes))

    def _declare(self, declaration: Declaration) -> Declaration:
        self._declared.append(declaration)
        return declaration
