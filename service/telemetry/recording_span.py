"""Spans that cost little: a few fields each, handed to OpenTelemetry's SDK when they end.

The SDK's own spans take locks, copies and a sampling decision each, and with its encoder four times as much processor
time: a service without a pace that traces every record reached 0.60 of its throughput with them, and 0.75 is promised.
These are sampled once for each record, and a record that is not sampled has none.
"""

import time
from contextvars import Token
from types import TracebackType
from typing import Protocol, Self

from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from service.core.errors import ModstreamError
from service.core.spans import CURRENT, Clock, Span, Value
from service.telemetry import names
from service.telemetry.redaction import clean_text

SHORTEST_WAIT_S = 0.001
"""A shorter wait makes no span: it explains nothing, and most waits are shorter."""


class SpanSink(Protocol):
    """Decides on sampling, and exports ended spans."""

    def begin(self, *, parent: SpanContext | None, links: tuple[Link, ...]) -> SpanContext:
        """Decide whether a trace is sampled that begins or goes on here; its context says so."""
        ...

    def child_context(self, parent: SpanContext) -> SpanContext:
        """Return the context of a child span."""
        ...

    def new_root(self) -> SpanContext:
        """Return the context of a new sampled trace."""
        ...

    def take(self, span: "RecordingSpan") -> None:
        """Export a span that has ended."""
        ...


class Timeline:
    """Converts a steady clock's seconds to nanoseconds since 1970, without the jumps of the wall clock."""

    __slots__ = ("_epoch_ns", "now_s")

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self.now_s = clock
        self._epoch_ns = time.time_ns() - int(clock() * 1e9)

    def ns(self, at_s: float) -> int:
        """Return a moment of the steady clock in nanoseconds since 1970."""
        return self._epoch_ns + int(at_s * 1e9)


class RecordingSpan:
    """A span that is recorded and exported."""

    __slots__ = (
        "_ended", "_sink", "_token", "attributes", "context", "end_ns", "kind", "links", "name", "parent", "start_ns",
        "status", "timeline",
    )  # fmt: skip
    is_recording = True

    def __init__(  # noqa: PLR0917 - the fields of a span; only this module and the tracers make any
        self,
        sink: SpanSink,
        timeline: Timeline,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: dict[str, Value],
        *,
        links: tuple[Link, ...] = (),
        start_s: float | None = None,
    ) -> None:
        self._sink = sink
        self.timeline = timeline
        self.name = name
        self.context = context
        self.parent = parent
        self.kind = kind
        self.attributes = attributes
        self.links = links
        self.status: Status | None = None
        self.start_ns = timeline.ns(timeline.now_s() if start_s is None else start_s)
        self.end_ns = 0
        self._ended = False
        self._token: Token[Span] | None = None

    def child(
        self,
        name: str,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: dict[str, Value] | None = None,
        start_s: float | None = None,
    ) -> "RecordingSpan":
        """Begin a child span."""
        given = {} if attributes is None else attributes
        context = self._sink.child_context(self.context)
        return RecordingSpan(self._sink, self.timeline, name, context, self.context, kind, given, start_s=start_s)

    def new_root(
        self, name: str, *, kind: SpanKind, attributes: dict[str, Value], links: tuple[Link, ...] = ()
    ) -> "RecordingSpan":
        """Begin the first span of a new trace."""
        return RecordingSpan(
            self._sink, Timeline(self.timeline.now_s), name, self._sink.new_root(), None, kind, attributes, links=links
        )

    def waited(self, name: str, since_s: float, until_s: float | None = None) -> None:
        """Record a wait as a span if it is long enough."""
        end_s = self.timeline.now_s() if until_s is None else until_s
        if end_s - since_s >= SHORTEST_WAIT_S:
            self.child(name, start_s=since_s).end(at_s=end_s)

    def set(self, name: str, value: Value) -> None:
        """Set an attribute of the span."""
        self.attributes[name] = value

    def link(self, context: SpanContext, *, to: str) -> None:
        """Add a link with the kind of its target."""
        self.links = (*self.links, link(context, to=to))

    def fail(self, error: BaseException) -> None:
        """Set the status; only our own messages are known to hold no signed URLs, so others give their type alone."""
        if isinstance(error, ModstreamError):
            self.attributes[names.ERROR_TYPE] = error.reason
            self.status = Status(StatusCode.ERROR, clean_text(str(error)))
        else:
            self.attributes[names.ERROR_TYPE] = type(error).__qualname__
            self.status = Status(StatusCode.ERROR)

    def end(self, *, at_s: float | None = None) -> None:
        """End the span, now or at the given moment; only the first call counts."""
        if self._ended:
            return
        self._ended = True
        self.end_ns = self.timeline.ns(self.timeline.now_s() if at_s is None else at_s)
        self._sink.take(self)

    def __enter__(self) -> Self:
        """Make it the current span."""
        self._token = CURRENT.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it; an error that passes is its status. A cancellation is none: it says what did not end by itself."""
        if self._token is not None:
            CURRENT.reset(self._token)
        if isinstance(error, Exception):
            self.fail(error)
        elif error is not None:
            self.attributes[names.ERROR_TYPE] = type(error).__qualname__
        self.end()


def link(context: SpanContext, *, to: str) -> Link:
    """Return a link with the kind of its target."""
    return Link(context, {names.LINK: to})
