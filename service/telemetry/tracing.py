"""The tracer, and W3C trace context in Kafka headers.

Without an endpoint nothing of OpenTelemetry's SDK is even imported.
"""

from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.trace import NoOpTracer, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.settings import TelemetrySettings
from service.telemetry import names
from service.telemetry.names import Headers
from service.telemetry.resource import process_resource
from service.telemetry.stopping import nothing_to_stop, stop_within_limit

_FIELDS = frozenset({"traceparent", "tracestate"})
_PROPAGATOR = TraceContextTextMapPropagator()


def build_tracer(settings: TelemetrySettings, *, version: str) -> tuple[Tracer, Callable[[], None]]:
    """Return a tracer and what stops it: a blocking call of at most `stopping.FLUSH_LIMIT_S` that sends what is left.

    Without an endpoint the tracer does nothing.
    """
    if settings.otlp_endpoint is None:
        return NoOpTracer(), nothing_to_stop
    return _exporting_tracer(settings.otlp_endpoint, ratio=settings.trace_ratio, version=version)


def extract(headers: Headers) -> Context:
    """Return the trace context that a record's headers carry; an empty one if they carry none."""
    carrier = {name: value.decode("ascii", "replace") for name, value in headers if name in _FIELDS and value}
    return _PROPAGATOR.extract(carrier, context=Context()) if carrier else Context()


def inject(context: Context | None = None) -> Headers:
    """Return the headers that carry the trace context (the current one when none is given) to the next reader."""
    carrier: dict[str, str] = {}
    _PROPAGATOR.inject(carrier, context=context)
    return tuple((name, value.encode("ascii")) for name, value in carrier.items())


def _exporting_tracer(endpoint: str, *, ratio: float, version: str) -> tuple[Tracer, Callable[[], None]]:
    """Build the SDK's tracer; the imports stand here because they cost memory and start-up time."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - see above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415 - as above

    provider = TracerProvider(ParentBasedTraceIdRatio(ratio), process_resource(version), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    tracer = provider.get_tracer("modstream", version, schema_url=names.SCHEMA_URL)
    return tracer, lambda: stop_within_limit(provider.shutdown, name="tracing-shutdown")
