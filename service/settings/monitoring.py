"""The settings of what operators look at: logs, traces, metrics and the endpoint."""

from typing import Annotated, Literal

from pydantic import Field

from service.settings.types import Group, OptionalTraceUrl, Positive, PositiveSeconds


class MonitoringSettings(Group):
    """Metrics and health of one process, by HTTP."""

    host: str = "127.0.0.1"
    """Address to listen on. The endpoint is unauthenticated, so other machines reach it only where this is changed:
    to 0.0.0.0 in a container."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 9464
    """The port that Prometheus has set aside for OpenTelemetry; 0 for no endpoint. Two processes of one machine need a
    port each."""
    tenants: tuple[str, ...] = ()
    """Tenants whose verdicts are counted under their own names; all others are `other`, or a new tenant would be a new
    time series for ever."""
    machine_price: Annotated[float, Field(ge=0.0)] = 0.0
    """Price per hour of the machine of one process, for the cost of 1,000 images; 0 exports no cost."""
    currency: str = "USD"
    """Currency of `machine_price`."""


class TelemetrySettings(Group):
    """Logs, traces, and the export of metrics."""

    log_format: Literal["auto", "json", "console"] = "auto"
    """auto: readable in a terminal, JSON elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level of log lines that are written."""
    log_limit_per_s: Positive = 20
    """Lines of one event about records in a second; further ones are counted and reported by `log.dropped`. Errors are
    always written. Enough to see what goes wrong; each line costs 65 µs, one that is held back 15."""
    otlp_endpoint: str | None = None
    """Base URL of an OTLP/HTTP collector, such as http://collector:4318. When not set, nothing is traced or sent."""
    metrics_interval_s: PositiveSeconds = 15.0
    """Interval at which metrics are sent to the collector. The default is Prometheus' usual interval."""
    trace_ratio: Annotated[float, Field(ge=0.0, le=1.0)] = 1.0
    """Share of sampled traces among those that start here. An upstream sampling decision is always kept."""
    trace_url: OptionalTraceUrl = None
    """Where people look at a trace, such as http://jaeger:16686/trace/{trace_id}: for the links of
    `modstream dead-letters show`."""
