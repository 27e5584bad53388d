"""What was counted and what a scrape holds, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from service.settings.monitoring import TelemetrySettings
from service.telemetry.metrics import Metrics, build_metrics


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a scrape."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class Scrape:
    """All lines."""

    series: tuple[Series, ...]

    @property
    def names(self) -> set[str]:
        """The names of all series."""
        return {series.name for series in self.series}

    def of(self, name: str, **labels: str) -> list[Series]:
        """Return the series of a name that have these labels among others."""
        return [each for each in self.series if each.name == name and labels.items() <= each.labels.items()]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of those; 0 without any."""
        return sum(each.value for each in self.of(name, **labels))

    def by(self, label: str, name: str) -> dict[str, float]:
        """Return the sums of a name's series by the value of a label."""
        values = {each.labels[label] for each in self.of(name)}
        return {value: self.value(name, **{label: value}) for value in values}


def parsed(text: str) -> Scrape:
    """Read what the endpoint answered."""
    families = text_string_to_metric_families(text)
    return Scrape(
        tuple(Series(each.name, dict(each.labels), each.value) for family in families for each in family.samples)
    )


@contextmanager
def counting() -> Iterator[Metrics]:
    """Let every instrument measure for this block, from nothing, and forget it afterwards."""
    metrics = build_metrics(TelemetrySettings(), scraped=True, version="test")
    try:
        yield metrics
    finally:
        metrics.stop()


def scraped(metrics: Metrics) -> Scrape:
    """Return what is to be read now."""
    return parsed(metrics.scrape().decode())
