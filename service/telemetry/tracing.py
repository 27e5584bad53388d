"""Where spans go. Without an endpoint nothing of OpenTelemetry's SDK is even imported."""

import threading
from collections.abc import Callable

from service.settings import TelemetrySettings
from service.telemetry.spans import SpanSink

# Spans still unsent when the service stops are worth a short wait, not a missed shutdown deadline.
FLUSH_LIMIT_S = 3.0


def build_sink(settings: TelemetrySettings, *, version: str) -> tuple[SpanSink | None, Callable[[], None]]:
    """Return what takes spans and what stops it: a blocking call of at most `FLUSH_LIMIT_S` that sends what is left.

    Nothing takes any without an endpoint.
    """
    url = traces_url(settings)
    if url is None:
        return None, _nothing_to_stop
    # Imported here because it costs memory and start-up time.
    from service.telemetry.sdk_spans import exporting_spans  # noqa: PLC0415 - see above

    sink, stop = exporting_spans(url, ratio=settings.trace_ratio, version=version)
    return sink, lambda: _stop_within_limit(stop)


def traces_url(settings: TelemetrySettings) -> str | None:
    """Return where traces are sent; None if they are not."""
    return None if settings.otlp_endpoint is None else f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"


def _nothing_to_stop() -> None:
    """Stop what takes nothing."""


def _stop_within_limit(shutdown: Callable[[], None]) -> None:
    """Give the last export a time limit: the SDK's own is 30 s, all that Kubernetes grants in total."""
    thread = threading.Thread(target=shutdown, name="tracing-shutdown", daemon=True)
    thread.start()
    thread.join(FLUSH_LIMIT_S)
