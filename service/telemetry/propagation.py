"""W3C trace context in Kafka headers and HTTP headers."""

from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.telemetry import names
from service.telemetry.names import Headers

_FIELDS = frozenset({"traceparent", "tracestate"})
_PROPAGATOR = TraceContextTextMapPropagator()


def uploader_of(headers: Headers) -> SpanContext | None:
    """Return the trace context that a record's producer sent; None if there is no valid one."""
    return _extract({name: value.decode("ascii", "replace") for name, value in headers if name in _FIELDS and value})


def caller_of(headers: Mapping[str, str]) -> SpanContext | None:
    """Return the trace context of an HTTP request by its headers in lower case; None if there is no valid one."""
    return _extract({name: headers[name] for name in _FIELDS if name in headers})


def earlier_attempt_of(headers: Headers) -> SpanContext | None:
    """Return the context of the attempt that deferred a record or made it a dead letter; None for the first attempt."""
    value = dict(headers).get(names.TRACEPARENT)
    return _extract({"traceparent": value.decode("ascii", "replace")} if value else {})


def text_headers(context: SpanContext | None) -> dict[str, str]:
    """Return the HTTP headers that carry a context; none without a context."""
    if context is None:
        return {}
    carried = {"traceparent": _traceparent(context)}
    if context.trace_state:
        carried["tracestate"] = context.trace_state.to_header()
    return carried


def kafka_headers(context: SpanContext | None) -> Headers:
    """Return the Kafka headers that carry a context."""
    return tuple((name, value.encode("ascii")) for name, value in text_headers(context).items())


def failure_headers(context: SpanContext | None) -> Headers:
    """Return the header that names a failed attempt; none if its trace was not sampled."""
    if context is None or not context.trace_flags.sampled:
        return ()
    return ((names.TRACEPARENT, _traceparent(context).encode("ascii")),)


def _extract(carrier: dict[str, str]) -> SpanContext | None:
    if not carrier:
        return None
    found = get_current_span(_PROPAGATOR.extract(carrier, context=Context())).get_span_context()
    return found if found.is_valid else None


def _traceparent(context: SpanContext) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
