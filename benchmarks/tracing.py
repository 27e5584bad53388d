"""What tracing costs: CPU microseconds of one record with ten spans, and of its share in a commit.

Against the same ten spans by OpenTelemetry's SDK. Bytes are made and not sent.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import Link, SpanKind

from benchmarks.runner import Comparison, Contender, TimedRun
from service.core.spans import Span, Value
from service.telemetry import names
from service.telemetry.commit_trace import committing
from service.telemetry.names import Headers
from service.telemetry.propagation import uploader_of
from service.telemetry.record_trace import Arrival, RecordTracer
from service.telemetry.recording_span import RecordingSpan, SpanSink
from service.telemetry.sdk_spans import SdkSpans, new_encoder

COMMITS = 100
RECORDS_A_COMMIT = 50
# What the service's exporter sends at once.
BATCH = 2048
TOPIC, VERDICTS = "images.uploaded", "images.verdicts"
QUEUED_S, DECODER_WAIT_S = 0.02, 0.005
ATTRIBUTES: dict[str, Value] = {
    names.OUTCOME: "judged",
    names.STATUS: "moderated",
    names.DECISION: "allow",
    names.POLICY: "default",
    names.TENANT: "acme",
}
HTTP: dict[str, Value] = {names.HTTP_REQUEST_METHOD: "GET", names.SERVER_ADDRESS: "images", names.URL_SCHEME: "https"}
MODEL: dict[str, Value] = {
    names.GEN_AI_OPERATION_NAME: names.CHAT,
    names.GEN_AI_REQUEST_MODEL: "qwen",
    names.ENGINE_STAGE: 1,
}


class Batches(SpanProcessor):
    """Makes of every so many spans what would be sent, if it gets an encoder."""

    def __init__(self, encode: Callable[[Sequence[ReadableSpan]], object] = len) -> None:
        self._encode = encode
        self._spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Take one."""
        self._spans.append(span)
        if len(self._spans) == BATCH:
            self._encode(self._spans)
            self._spans.clear()


@contextmanager
def comparisons() -> Iterator[Sequence[Comparison]]:
    """Compare the SDK's spans with the service's, from all of it to none."""
    encoder = new_encoder("0")

    def encode(spans: Sequence[ReadableSpan]) -> bytes:
        return encoder.encode(cast("Sequence[RecordingSpan]", spans))

    provider = TracerProvider()
    provider.add_span_processor(Batches(encode_spans))
    yield (
        Comparison(
            "CPU a record, uploader's context, ten spans, 50 records a commit",
            (
                Contender("OpenTelemetry's SDK, spans made and encoded", lambda: _by_sdk(provider)),
                _contender("sampled: spans made and encoded", SdkSpans(Batches(encode), ratio=1.0), is_sampled=True),
                _contender("sampled: spans made", SdkSpans(Batches(), ratio=1.0), is_sampled=True),
                _contender("not sampled", SdkSpans(Batches(), ratio=1.0), is_sampled=False),
                _contender("no endpoint set: times alone", None, is_sampled=True),
            ),
            unit="µs",
        ),
    )


def _contender(name: str, sink: SpanSink | None, *, is_sampled: bool) -> Contender:
    tracer, headers = RecordTracer(sink, group_id="modstream"), _uploaded(is_sampled=is_sampled)

    def commit() -> None:
        spans = [_record(tracer, headers) for _ in range(RECORDS_A_COMMIT)]
        with committing(spans, partition=f"{TOPIC}/3", records=RECORDS_A_COMMIT):
            pass

    return Contender(name, lambda: _cpu_us(commit))


def _record(tracer: RecordTracer, headers: Headers) -> Span:
    """Take a record through the stages of the service; return the span of its outcome."""
    now_s = time.perf_counter()
    with tracer.delivery(Arrival(TOPIC, 3, 17, 0, headers, now_s - QUEUED_S)).attempt(1) as trace:
        trace.identify("image-17")
        with trace.stage("fetch") as fetch, fetch.child(names.GET, kind=SpanKind.CLIENT, attributes=dict(HTTP)) as get:
            get.set(names.HTTP_RESPONSE_STATUS_CODE, 200)
        with trace.stage("decode") as decode:
            decode.waited(names.WAIT_DECODER, now_s - DECODER_WAIT_S, now_s)
        with trace.stage("engine") as engine, engine.child(names.CHAT, kind=SpanKind.CLIENT, attributes=dict(MODEL)):
            pass
        with trace.stage("decide"):
            pass
        trace.set_attributes(ATTRIBUTES)
        return trace.sending(VERDICTS).span


def _by_sdk(provider: TracerProvider) -> TimedRun:
    tracer, headers = provider.get_tracer(names.SCOPE), _uploaded(is_sampled=True)
    messaging: dict[str, Value] = {names.MESSAGING_SYSTEM: "kafka", names.MESSAGING_DESTINATION_NAME: TOPIC}

    def record() -> Link:
        uploader = uploader_of(headers)
        links = [Link(uploader)] if uploader else []
        with tracer.start_as_current_span("process", kind=SpanKind.CONSUMER, attributes=messaging, links=links) as span:
            tracer.start_span(names.WAIT).end()
            with (
                tracer.start_as_current_span("fetch"),
                tracer.start_as_current_span(names.GET, kind=SpanKind.CLIENT, attributes=HTTP) as get,
            ):
                get.set_attribute(names.HTTP_RESPONSE_STATUS_CODE, 200)
            with tracer.start_as_current_span("decode"):
                tracer.start_span(names.WAIT_DECODER).end()
            with (
                tracer.start_as_current_span("engine"),
                tracer.start_as_current_span(names.CHAT, kind=SpanKind.CLIENT, attributes=MODEL),
            ):
                pass
            with tracer.start_as_current_span("decide"):
                pass
            span.set_attributes(ATTRIBUTES)
            with tracer.start_as_current_span("send", kind=SpanKind.PRODUCER, attributes=messaging) as send:
                return Link(send.get_span_context())

    def commit() -> None:
        tracer.start_span("commit", links=[record() for _ in range(RECORDS_A_COMMIT)], attributes=messaging).end()

    return _cpu_us(commit)


def _uploaded(*, is_sampled: bool) -> Headers:
    flags = "01" if is_sampled else "00"
    return (("traceparent", f"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}".encode()),)


def _cpu_us(commit: Callable[[], None]) -> TimedRun:
    begin_s = time.process_time()
    for _ in range(COMMITS):
        commit()
    return TimedRun((time.process_time() - begin_s) / COMMITS / RECORDS_A_COMMIT * 1e6, seconds=1.0)
