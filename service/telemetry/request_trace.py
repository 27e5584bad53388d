"""The telemetry of one HTTP request: a span when it is traced, and the context of the caller's trace."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.trace import SpanKind

from service.core.spans import NOOP, Clock, NoopSpan, Span, entered
from service.telemetry import names
from service.telemetry.propagation import caller_of
from service.telemetry.recording_span import RecordingSpan, SpanSink, Timeline


class RequestTracer:
    """Traces requests. Without a sink it passes the caller's context on and makes no spans."""

    def __init__(self, sink: SpanSink | None, *, clock: Clock = time.perf_counter) -> None:
        self._sink = sink
        self._clock = clock

    @contextmanager
    def request(self, method: str, headers: Mapping[str, str]) -> Iterator[Span]:
        """Make the span of a request the current one; `headers` may carry a caller's context.

        The span is named by its method until `found_route` knows the route.
        """
        span = self._begin(method, headers)
        with entered(span), span:
            yield span

    def _begin(self, method: str, headers: Mapping[str, str]) -> Span:
        parent = caller_of(headers)
        if self._sink is None:
            return NOOP if parent is None else NoopSpan(parent)
        context = self._sink.begin(parent=parent, links=())
        if not context.trace_flags.sampled:
            return NoopSpan(context)
        attributes = {names.HTTP_REQUEST_METHOD: method}
        return RecordingSpan(
            self._sink, Timeline(self._clock), method, context, parent, SpanKind.SERVER, {**attributes}
        )


def found_route(span: Span, method: str, route: str, status: int) -> None:
    """Name the span of a request by its route, and set the status of its response."""
    if isinstance(span, RecordingSpan):
        span.name = f"{method} {route}"
        span.set(names.HTTP_ROUTE, route)
        span.set(names.HTTP_RESPONSE_STATUS_CODE, status)
