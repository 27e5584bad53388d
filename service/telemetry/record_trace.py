"""The telemetry of one record on its way to an outcome: spans when traced, milliseconds by stage always."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, use_span

from service.errors import ModstreamError
from service.telemetry import names
from service.telemetry.instruments import STAGE_DURATION
from service.telemetry.names import Headers, Stage
from service.telemetry.tracing import extract, inject

Clock = Callable[[], float]
"""Seconds from any fixed moment."""

_LABELS = {stage: {names.STAGE: stage} for stage in names.STAGES}


class StageTimer:
    """Adds up milliseconds by stage; a stage that runs again after a failed attempt adds to its sum."""

    def __init__(self, *, started_at_s: float | None = None, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._started_at_s = clock() if started_at_s is None else started_at_s
        self._milliseconds: dict[str, float] = {names.WAIT: self._since(self._started_at_s)}

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Time a stage, however it ends."""
        begin = self._clock()
        try:
            yield
        finally:
            milliseconds = self._since(begin)
            self._milliseconds[stage] = self._milliseconds.get(stage, 0.0) + milliseconds
            STAGE_DURATION.record(milliseconds / 1000, _LABELS[stage])

    def timings_ms(self) -> dict[str, float]:
        """Milliseconds by stage so far, with `wait` before the first and `total` since the record was received."""
        return self._milliseconds | {names.TOTAL: self._since(self._started_at_s)}

    def _since(self, begin_s: float) -> float:
        # Three digits are microseconds: finer is noise that only lengthens every verdict.
        return round((self._clock() - begin_s) * 1000, 3)


class RecordTrace:
    """One record under way: its span, its stages and what it publishes."""

    def __init__(self, tracer: Tracer, span: Span, timer: StageTimer) -> None:
        self._tracer = tracer
        self._span = span
        self._timer = timer

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Run a stage: time it, and trace it when the record is traced."""
        with self._timer.stage(stage):
            if not self._span.is_recording():
                yield
                return
            with _running(self._tracer.start_span(stage)):
                yield

    @contextmanager
    def sending(self, topic: str) -> Iterator[Headers]:
        """Trace the making and handing over of an outcome; the transaction that publishes it serves many records.

        Yields the headers that carry the trace on; without tracing they pass on what the uploader sent, if anything.
        """
        if not self._span.is_recording():
            yield inject()
            return
        attributes = _messaging(names.SEND, topic)
        with _running(self._tracer.start_span(f"{names.SEND} {topic}", kind=SpanKind.PRODUCER, attributes=attributes)):
            yield inject()

    def identify(self, event_id: str) -> None:
        """Name the event once its id is known."""
        self._span.set_attribute(names.MESSAGING_MESSAGE_ID, event_id)

    def timings_ms(self) -> dict[str, float]:
        """Milliseconds by stage, as a verdict tells them."""
        return self._timer.timings_ms()


class RecordTracer:
    """Starts the trace of each record in the context that its producer sent along."""

    def __init__(self, tracer: Tracer, *, group_id: str, clock: Clock = time.perf_counter) -> None:
        self._tracer = tracer
        self._group_id = group_id
        self._clock = clock

    @contextmanager
    def process(
        self, *, topic: str, partition: int, offset: int, headers: Headers, received_at_s: float | None = None
    ) -> Iterator[RecordTrace]:
        """Trace and time one record from here to its outcome; `received_at_s` is by the same clock."""
        timer = StageTimer(started_at_s=received_at_s, clock=self._clock)
        attributes = _messaging(names.PROCESS, topic) | {
            names.MESSAGING_DESTINATION_PARTITION_ID: str(partition),
            names.MESSAGING_KAFKA_OFFSET: offset,
            names.MESSAGING_CONSUMER_GROUP_NAME: self._group_id,
        }
        span = self._tracer.start_span(
            f"{names.PROCESS} {topic}", extract(headers), kind=SpanKind.CONSUMER, attributes=attributes
        )
        with _running(span):
            yield RecordTrace(self._tracer, span, timer)


def _messaging(operation: str, topic: str) -> dict[str, str | int]:
    return {
        names.MESSAGING_SYSTEM: names.MESSAGING_SYSTEM_KAFKA,
        names.MESSAGING_OPERATION_NAME: operation,
        names.MESSAGING_OPERATION_TYPE: operation,
        names.MESSAGING_DESTINATION_NAME: topic,
    }


@contextmanager
def _running(span: Span) -> Iterator[None]:
    """Make a span the current one and end it; an error that passes is its status."""
    with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield
        except Exception as error:
            _mark_failed(span, error)
            raise


def _mark_failed(span: Span, error: Exception) -> None:
    """Set the status; only our own messages are known to hold no signed URLs, so others give their type alone."""
    if isinstance(error, ModstreamError):
        span.set_attribute(names.ERROR_TYPE, error.reason)
        span.set_status(StatusCode.ERROR, str(error))
    else:
        span.set_attribute(names.ERROR_TYPE, type(error).__qualname__)
        span.set_status(StatusCode.ERROR)
