"""The interface of spans: one span, its substitute where nothing is traced, and the current one."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Protocol, Self

from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, set_span_in_context

Clock = Callable[[], float]
"""Seconds from any fixed moment."""

Value = str | int | float | bool


class Span(Protocol):
    """One span, or its substitute where nothing is traced; as a context manager it is the current one."""

    @property
    def context(self) -> SpanContext | None:
        """The span's identity in its trace; None without a trace."""
        ...

    @property
    def is_recording(self) -> bool:
        """Whether the span is recorded."""
        ...

    def child(
        self,
        name: str,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: dict[str, Value] | None = None,
        start_s: float | None = None,
    ) -> "Span":
        """Begin a child span."""
        ...

    def waited(self, name: str, since_s: float, until_s: float | None = None) -> None:
        """Add a child span for a wait, with its begin and end by `time.perf_counter`."""
        ...

    def set(self, name: str, value: Value) -> None:
        """Set an attribute of the span."""
        ...

    def end(self) -> None:
        """End the span; the first call counts."""
        ...

    def __enter__(self) -> "Span": ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class NoopSpan:
    """A span that records nothing; its context, if any, is passed on."""

    __slots__ = ("context",)
    is_recording = False

    def __init__(self, context: SpanContext | None = None) -> None:
        self.context = context

    def child(
        self,
        name: str,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: dict[str, Value] | None = None,
        start_s: float | None = None,
    ) -> Self:
        """Return itself."""
        del name, kind, attributes, start_s
        return self

    def waited(self, name: str, since_s: float, until_s: float | None = None) -> None:
        """Do nothing."""

    def set(self, name: str, value: Value) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        """Leave the current span as it is."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the current span as it is."""


NOOP = NoopSpan()
CURRENT: ContextVar[Span] = ContextVar("modstream-span", default=NOOP)
"""The innermost span of a task; read by `current_span`, set by spans alone."""


def current_span() -> Span:
    """Return the innermost span of this task."""
    return CURRENT.get()


@contextmanager
def waiting(name: str) -> Iterator[None]:
    """Record the wait in the block as a child of the current span, also if it ends by an error or a cancellation."""
    span = CURRENT.get()
    if not span.is_recording:
        yield
        return
    since_s = time.perf_counter()
    try:
        yield
    finally:
        span.waited(name, since_s, time.perf_counter())


class entered:  # noqa: N801 - reads as what it does; a generator would cost each record three times as much
    """Make a record's span the current one, for OpenTelemetry too, so that logs and exemplars name its trace.

    The stages beneath do so for this module alone: OpenTelemetry's way costs as much as the span itself.
    """

    __slots__ = ("_otel", "_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> object:
        """Return whatever the block wants to have of it."""
        context = self._span.context
        self._token = CURRENT.set(self._span)
        self._otel = attach(set_span_in_context(NonRecordingSpan(context), Context())) if context else None
        return None

    def __exit__(self, *_: object) -> None:
        if self._otel is not None:
            detach(self._otel)
        CURRENT.reset(self._token)
