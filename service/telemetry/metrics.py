"""Where metrics go: to a Prometheus endpoint, to an OTLP collector, to both or nowhere.

OpenTelemetry's SDK reads and sends what `aggregation` holds. Without a reader the SDK is not imported.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from opentelemetry.metrics import Meter, NoOpMeter

from service.settings.monitoring import TelemetrySettings
from service.telemetry import instruments, names
from service.telemetry.collector_outage import CollectorOutage, WatchedClient
from service.telemetry.resource import process_resource
from service.telemetry.stopping import nothing_to_stop, stop_within_limit

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader


@dataclass(frozen=True, slots=True)
class Metrics:
    """The meter and the readers that the settings name."""

    meter: Meter
    """For gauges."""
    scrape: Callable[[], bytes]
    """Return all metrics in Prometheus' text form; blocks for milliseconds, so call it in a thread."""
    stop: Callable[[], None]
    """Send what is left, if anything is to be sent; blocks for `stopping.FLUSH_LIMIT_S` at most."""


def build_metrics(settings: TelemetrySettings, *, scraped: bool, version: str) -> Metrics:
    """Let every instrument start from nothing for the readers that the settings name; `scraped` adds the endpoint."""
    if not scraped and settings.otlp_endpoint is None:
        return Metrics(NoOpMeter(names.SCOPE), _nothing_to_scrape, nothing_to_stop)
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - costs memory and start-up time

    readers, scrape = _prometheus() if scraped else ([], _nothing_to_scrape)
    if settings.otlp_endpoint is not None:
        readers.append(_otlp(settings.otlp_endpoint, interval_s=settings.metrics_interval_s))
    provider = MeterProvider(readers, process_resource(version), shutdown_on_exit=False)
    meter = provider.get_meter(names.SCOPE)
    instruments.begin(meter)
    return Metrics(meter, scrape, lambda: stop_within_limit(provider.shutdown, name="metrics-shutdown"))


def _nothing_to_scrape() -> bytes:
    return b""


def _prometheus() -> tuple[list["MetricReader"], Callable[[], bytes]]:
    """Return a reader, and what writes all that it reads and what libraries registered themselves."""
    from opentelemetry.exporter.prometheus import PrometheusMetricReader  # noqa: PLC0415 - as above
    from prometheus_client import REGISTRY, CollectorRegistry, generate_latest  # noqa: PLC0415 - as above

    from service.telemetry.histogram_export import HistogramCollector  # noqa: PLC0415 - as above

    ours = CollectorRegistry()
    ours.register(HistogramCollector())
    reader = PrometheusMetricReader(scope_info_enabled=False, registry=ours)
    # The other one is prometheus_client's own: this process's memory and CPU, and vLLM's metrics where it runs here.
    return [reader], lambda: generate_latest(ours) + generate_latest(REGISTRY)


def _otlp(endpoint: str, *, interval_s: float) -> "MetricReader":
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415 - as above

    from service.telemetry.bounded_answers import bound_answers  # noqa: PLC0415 - as above
    from service.telemetry.histogram_export import HistogramExporter  # noqa: PLC0415 - as above

    url = f"{endpoint.rstrip('/')}/v1/metrics"
    exporter = HistogramExporter(url)
    bound_answers(exporter)
    # What it returns says that a batch failed, and not why.
    exporter._client = cast("Any", WatchedClient(exporter._client, CollectorOutage("metrics", url)))
    return PeriodicExportingMetricReader(exporter, export_interval_millis=interval_s * 1000)
