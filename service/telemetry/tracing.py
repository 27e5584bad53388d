"""Where spans go. Without an endpoint nothing of OpenTelemetry's SDK is even imported."""

from collections.abc import Callable

from service.settings.monitoring import TelemetrySettings
from service.telemetry.recording_span import SpanSink
from service.telemetry.stopping import nothing_to_stop, stop_within_limit


def build_sink(settings: TelemetrySettings, *, version: str) -> tuple[SpanSink | None, Callable[[], None]]:
    """Return what takes spans and what stops it: a blocking call of at most `FLUSH_LIMIT_S` that sends what is left.

    Nothing takes any without an endpoint.
    """
    url = traces_url(settings)
    if url is None:
        return None, nothing_to_stop
    # Imported here because it costs memory and start-up time.
    from service.telemetry.sdk_spans import exporting_spans  # noqa: PLC0415 - see above

    sink, stop = exporting_spans(url, ratio=settings.trace_ratio, version=version)
    return sink, lambda: stop_within_limit(stop, name="tracing-shutdown")


def traces_url(settings: TelemetrySettings) -> str | None:
    """Return the URL to which traces are sent; None without one."""
    return None if settings.otlp_endpoint is None else f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"
