"""OpenTelemetry's readers of metrics, given what `aggregates` holds on top of the SDK's gauges.

Imports the SDK, which costs memory and start-up time: only for processes that tell metrics.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from service.telemetry import names
from service.telemetry.aggregates import Counter, Example, Histogram, Key, Series
from service.telemetry.instruments import Declaration, declarations

_CUMULATIVE = AggregationTemporality.CUMULATIVE
_NANOSECONDS = 1_000_000_000

_STARTED_AT_NS = time.time_ns()

# Extremes since the start would tell little; what is None is left out.
_UNTOLD: Any = None


class PrometheusReader(PrometheusMetricReader):
    """What Prometheus scrapes."""

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **further: Any) -> None:
        super()._receive_metrics(with_aggregates(metrics_data), timeout_millis, **further)


class OtlpExporter(OTLPMetricExporter):
    """What a collector is sent."""

    def export(self, metrics_data: MetricsData, *further: Any, **named: Any) -> MetricExportResult:
        """Send gauges and aggregates."""
        return super().export(with_aggregates(metrics_data), *further, **named)


def with_aggregates(data: MetricsData) -> MetricsData:
    """Return what the SDK has collected together with all counters and histograms."""
    now_ns = time.time_ns()
    found = [metric for declaration in declarations() if (metric := _metric(declaration, now_ns))]
    return MetricsData(
        [
            replace(resource, scope_metrics=list(_with(found, resource.scope_metrics)))
            for resource in data.resource_metrics
        ]
    )


def _with(found: Sequence[Metric], scopes: Iterable[ScopeMetrics]) -> Iterator[ScopeMetrics]:
    """Add metrics to the scope that gauges are in: of two scopes of one name OTLP's encoder drops the first."""
    gauges: list[Metric] = []
    for scope in scopes:
        if scope.scope.name == names.SCOPE:
            gauges += scope.metrics
        else:
            yield scope
    yield ScopeMetrics(InstrumentationScope(names.SCOPE), [*gauges, *found], schema_url="")


def _metric(declaration: Declaration, now_ns: int) -> Metric | None:
    """Return what an instrument holds; None for a gauge, and where nothing was measured yet."""
    match declaration.aggregate:
        case Counter() as counter:
            sums = [NumberDataPoint(dict(key), _STARTED_AT_NS, now_ns, value) for key, value in counter.sums().items()]
            data: Sum | HistogramData = Sum(sums, _CUMULATIVE, is_monotonic=True)
        case Histogram() as histogram:
            series = histogram.series().items()
            data = HistogramData([_point(key, each, histogram, now_ns) for key, each in series], _CUMULATIVE)
        case None:
            return None
    return Metric(declaration.name, declaration.description, declaration.unit, data) if data.data_points else None


def _point(key: Key, series: Series, histogram: Histogram, now_ns: int) -> HistogramDataPoint:
    counts = list(series.counts)
    return HistogramDataPoint(
        attributes=dict(key),
        start_time_unix_nano=_STARTED_AT_NS,
        time_unix_nano=now_ns,
        count=sum(counts),
        sum=series.total,
        bucket_counts=counts,
        explicit_bounds=histogram.boundaries,
        min=_UNTOLD,
        max=_UNTOLD,
        exemplars=list(_exemplars(series.examples)),
    )


def _exemplars(examples: Iterable[Example | None]) -> Iterable[Exemplar]:
    for example in examples:
        if example is not None:
            at_ns = round(example.at_s * _NANOSECONDS)
            yield Exemplar({}, example.value, at_ns, span_id=example.span_id, trace_id=example.trace_id)
