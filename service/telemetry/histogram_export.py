"""Histograms on their way out: to a scrape beside the SDK's metrics, and to a collector among them.

Imports OpenTelemetry's SDK and prometheus_client, which cost memory and start-up time.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import accumulate
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    ScopeMetrics,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from service.telemetry import names
from service.telemetry.aggregation import Histogram, Series
from service.telemetry.instruments import histograms


class HistogramCollector(Collector):
    """Adds the histograms to a registry of prometheus_client."""

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return those with values."""
        for histogram in histograms():
            declared, found = histogram.declaration, histogram.series()
            bounds = (*map(str, declared.boundaries), "+Inf")
            family = HistogramMetricFamily(declared.prometheus_name, declared.description, labels=declared.attributes)
            for values, series in found.items():
                family.add_metric(values, list(zip(bounds, accumulate(series.counts), strict=True)), series.total)
            if found:
                yield family


class HistogramExporter(OTLPMetricExporter):
    """Sends the histograms among the metrics that the SDK has collected."""

    def export(self, metrics_data: MetricsData, *further: Any, **named: Any) -> MetricExportResult:
        """Send both."""
        resources = [
            replace(resource, scope_metrics=[_with_histograms(scope) for scope in resource.scope_metrics])
            for resource in metrics_data.resource_metrics
        ]
        return super().export(MetricsData(resources), *further, **named)


def _with_histograms(scope: ScopeMetrics) -> ScopeMetrics:
    """Add them to the scope of the other instruments, because OTLP's encoder keeps one scope of a name."""
    return replace(scope, metrics=[*scope.metrics, *_metrics()]) if scope.scope.name == names.SCOPE else scope


def _metrics() -> Iterator[Metric]:
    for histogram in histograms():
        declared = histogram.declaration
        points = [_point(histogram, values, series) for values, series in histogram.series().items()]
        if points:
            data = HistogramData(points, AggregationTemporality.CUMULATIVE)
            yield Metric(declared.name, declared.description, declared.unit, data)


def _point(histogram: Histogram, values: tuple[str, ...], series: Series) -> HistogramDataPoint:
    counts = series.counts.copy()
    return HistogramDataPoint(
        attributes=dict(zip(histogram.declaration.attributes, values, strict=True)),
        start_time_unix_nano=histogram.began_ns,
        time_unix_nano=time.time_ns(),
        count=sum(counts),
        sum=series.total,
        bucket_counts=counts,
        explicit_bounds=histogram.declaration.boundaries,
        min=series.lowest,
        max=series.highest,
        exemplars=[
            Exemplar({}, value, at_ns, span_id=context.span_id, trace_id=context.trace_id)
            for value, at_ns, context in filter(None, series.exemplars)
        ],
    )
