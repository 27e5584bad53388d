"""The telemetry of one record: spans when it is traced, and milliseconds by stage always."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple, Self

from opentelemetry.trace import Link, SpanContext, SpanKind

from service.core.spans import NOOP, Clock, NoopSpan, Span, Value, entered
from service.telemetry import labels, names
from service.telemetry.instruments import STAGE_DURATION
from service.telemetry.logs import RECORD, bind_record, record_facts
from service.telemetry.names import Headers, Stage
from service.telemetry.propagation import earlier_attempt_of, failure_headers, kafka_headers, uploader_of
from service.telemetry.recording_span import RecordingSpan, SpanSink, Timeline, link

_LABELS = {stage: {labels.STAGE: stage} for stage in names.STAGES}


class StageTimer:
    """Adds up milliseconds by stage; a stage that runs again after a failed attempt adds to its sum."""

    __slots__ = ("_clock", "_milliseconds", "_started_at_s", "_wait_s")

    def __init__(self, *, started_at_s: float | None = None, clock: Clock = time.perf_counter) -> None:
        self._clock = clock
        self._started_at_s = clock() if started_at_s is None else started_at_s
        self._wait_s = clock() - self._started_at_s
        self._milliseconds: dict[str, float] = {}

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Measure the time of a stage, however it ends."""
        begin = self._clock()
        try:
            yield
        finally:
            milliseconds = self._since(begin)
            self._milliseconds[stage] = self._milliseconds.get(stage, 0.0) + milliseconds
            STAGE_DURATION.record(milliseconds / 1000, _LABELS[stage])

    def timings_ms(self) -> dict[str, float]:
        """Milliseconds by stage so far, with `wait` before the first and `total` since the record was received."""
        wait_ms = _milliseconds(self._wait_s)
        return {names.WAIT: wait_ms, **self._milliseconds, names.TOTAL: self._since(self._started_at_s)}

    def _since(self, begin_s: float) -> float:
        return _milliseconds(self._clock() - begin_s)


def _milliseconds(seconds: float) -> float:
    # Three digits are microseconds: finer is noise that only lengthens every verdict.
    return round(seconds * 1000, 3)


@dataclass(frozen=True, slots=True)
class Sending:
    """An outcome that is being published."""

    span: Span
    headers: Headers
    """What carries the trace on; without tracing, what the uploader sent along, if anything."""


class RecordTrace:
    """One attempt at a record: its span, its stages and its outcomes."""

    __slots__ = ("_timer", "span")

    def __init__(self, span: Span, timer: StageTimer) -> None:
        self.span = span
        self._timer = timer

    @classmethod
    def untraced(cls) -> "RecordTrace":
        """Return an attempt that measures times and makes no spans."""
        return cls(NOOP, StageTimer())

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[Span]:
        """Run a stage: time it, and trace it when the record is traced."""
        with self._timer.stage(stage), self.span.child(stage) as span:
            yield span

    def sending(self, topic: str) -> Sending:
        """Begin to publish an outcome; its span ends when a commit has published it, and never if none does."""
        span = self.span
        if span.is_recording:
            attributes = _messaging(names.SEND, topic)
            span = span.child(f"{names.SEND} {topic}", kind=SpanKind.PRODUCER, attributes=attributes)
        return Sending(span, kafka_headers(span.context))

    def failure_headers(self) -> Headers:
        """Return the header by which a later attempt links to this one."""
        return failure_headers(self.span.context) if self.span.is_recording else ()

    def identify(self, event_id: str) -> None:
        """Set the event's id once it is known."""
        self.span.set(names.MESSAGING_MESSAGE_ID, event_id)

    def set_attributes(self, attributes: Mapping[str, Value | None]) -> None:
        """Set attributes of the record's span, by which traces can be kept and found."""
        if not self.span.is_recording:
            return
        for name, value in attributes.items():
            if value is not None:
                self.span.set(name, value)

    def fail(self, error: Exception) -> None:
        """Give the record's span the status of an error that ends the attempt."""
        if isinstance(self.span, RecordingSpan):
            self.span.fail(error)

    def timings_ms(self) -> dict[str, float]:
        """Milliseconds by stage, as a verdict carries them."""
        return self._timer.timings_ms()


class Arrival(NamedTuple):
    """A record as it was delivered, with the time when it was received."""

    topic: str
    partition: int
    offset: int
    """These three as it was uploaded, wherever it waited since."""
    timestamp_ms: int
    headers: Headers
    received_at_s: float
    """By the tracer's clock."""
    retry_topic: str | None = None
    """Where it waited."""


class Delivery:
    """One delivery of a record and the attempts at it, which share a trace.

    A fresh record's attempts belong to the uploader's trace. A record that waited in a retry topic, or was sent back
    from the dead letters, comes minutes or days later: the uploader's trace is closed by then, and kept or dropped. So
    it starts a trace of its own, with links to the uploader's span and to the attempt before.
    """

    def __init__(self, sink: SpanSink, arrival: Arrival, *, group_id: str, clock: Clock) -> None:
        self._sink = sink
        self._arrival = arrival
        self._group_id = group_id
        self._clock = clock
        self._bound = bind_record(arrival.topic, arrival.partition, arrival.offset)
        self._links: tuple[Link, ...] = ()
        self._parent = uploader_of(arrival.headers)
        self._last: SpanContext | None = None
        earlier = earlier_attempt_of(arrival.headers)
        if earlier is not None:
            self._links = (link(earlier, to="earlier_attempt"), *self._to_uploader())
            self._parent = None

    @contextmanager
    def attempt(self, number: int) -> Iterator[RecordTrace]:
        """Begin one attempt; `number` counts attempts over all deliveries."""
        timer = StageTimer(started_at_s=self._arrival.received_at_s, clock=self._clock)
        span = self._begin(number)
        with self._bound, entered(span), span:
            yield RecordTrace(span, timer)

    def _begin(self, number: int) -> Span:
        is_first, links, parent = self._last is None, self._links, self._parent
        if self._last is not None:
            links = (link(self._last, to="earlier_attempt"),)
        self._last = context = self._sink.begin(parent=parent, links=links)
        if parent is None:
            self._parent = context  # of further attempts, so that one trace shows the pauses between them
        if not context.trace_flags.sampled:
            return NoopSpan(context)
        span = RecordingSpan(
            self._sink,
            Timeline(self._clock),
            f"{names.PROCESS} {self._arrival.topic}",
            context,
            parent,
            SpanKind.CONSUMER,
            self._attributes(number),
            links=links,
            start_s=self._arrival.received_at_s if is_first else None,
        )
        if is_first:
            self._record_waits(span)
        return span

    def _record_waits(self, span: RecordingSpan) -> None:
        received_at_s = self._arrival.received_at_s
        queue_ms = span.timeline.ns(received_at_s) // 1_000_000 - self._arrival.timestamp_ms
        span.set(names.QUEUE_MS, max(0, queue_ms))
        span.waited(names.WAIT, received_at_s)

    def _attributes(self, number: int) -> dict[str, Value]:
        arrival = self._arrival
        attributes = _messaging(names.PROCESS, arrival.topic)
        attributes[names.MESSAGING_DESTINATION_PARTITION_ID] = str(arrival.partition)
        attributes[names.MESSAGING_KAFKA_OFFSET] = arrival.offset
        attributes[names.MESSAGING_CONSUMER_GROUP_NAME] = self._group_id
        attributes[names.ATTEMPT] = number
        if arrival.retry_topic is not None:
            attributes[names.RETRY_TOPIC] = arrival.retry_topic
        return attributes

    def _to_uploader(self) -> tuple[Link, ...]:
        return () if self._parent is None else (link(self._parent, to="uploader"),)


class QuietDelivery:
    """A delivery where nothing is traced, and each of its attempts in turn: names the record to logs and keeps times.

    One object with nothing deeper, because every record makes one.
    """

    __slots__ = ("_arrival", "_clock", "_entered", "_record", "_span", "event_id")

    def __init__(self, arrival: Arrival, *, clock: Clock) -> None:
        parent = uploader_of(arrival.headers) if arrival.headers else None
        self._span = NOOP if parent is None else NoopSpan(parent)
        self._arrival = arrival
        self._clock = clock
        self.event_id: str | None = None

    def attempt(self, number: int) -> Self:
        """Begin one attempt without spans."""
        del number
        return self

    def facts(self) -> dict[str, object]:
        """Return the fields that identify the record in log lines."""
        topic, partition, offset, *_ = self._arrival
        return record_facts(topic, partition, offset, self.event_id)

    def __enter__(self) -> RecordTrace:
        self._record = RECORD.set(self)
        if self._span is not NOOP:  # an uploader's context, for log lines and whatever is asked beneath
            self._entered = entered(self._span)
            self._entered.__enter__()
        return RecordTrace(self._span, StageTimer(started_at_s=self._arrival.received_at_s, clock=self._clock))

    def __exit__(self, *_: object) -> None:
        if self._span is not NOOP:
            self._entered.__exit__()
        RECORD.reset(self._record)


class RecordTracer:
    """Traces deliveries. Without a sink it only measures times, and passes the uploader's context on."""

    def __init__(self, sink: SpanSink | None, *, group_id: str, clock: Clock = time.perf_counter) -> None:
        self._sink = sink
        self._group_id = group_id
        self._clock = clock

    def delivery(self, arrival: Arrival) -> Delivery | QuietDelivery:
        """Begin the telemetry of one delivery of a record."""
        if self._sink is None:
            return QuietDelivery(arrival, clock=self._clock)
        return Delivery(self._sink, arrival, group_id=self._group_id, clock=self._clock)


def _messaging(operation: str, topic: str) -> dict[str, Value]:
    return {
        names.MESSAGING_SYSTEM: names.MESSAGING_SYSTEM_KAFKA,
        names.MESSAGING_OPERATION_NAME: operation,
        names.MESSAGING_OPERATION_TYPE: operation,
        names.MESSAGING_DESTINATION_NAME: topic,
    }
