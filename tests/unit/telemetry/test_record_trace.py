"""One record, one trace, from the producer's context to the published outcome."""

from collections.abc import Sequence
from contextlib import suppress

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.semconv._incubating.attributes import error_attributes, messaging_attributes, service_attributes
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import NoOpTracer, SpanKind, StatusCode

from service.media.errors import FetchTimeoutError
from service.telemetry import names
from service.telemetry.names import Headers
from service.telemetry.record_trace import RecordTracer, StageTimer

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PRODUCER_SPAN_ID = "b7ad6b7169203331"
PRODUCER: Headers = (
    ("ce_id", b"42"),
    ("traceparent", f"00-{TRACE_ID}-{PRODUCER_SPAN_ID}-01".encode()),
    ("tracestate", b"vendor=1"),
)


class Clock:
    """Moves only when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter, clock: Clock) -> RecordTracer:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return RecordTracer(provider.get_tracer("test"), group_id="group", clock=clock)


def moderate(tracer: RecordTracer, headers: Headers = PRODUCER) -> Headers:
    """Go through every stage; return what the verdict's headers carry."""
    with tracer.process(topic="images.uploaded", partition=3, offset=17, headers=headers) as trace:
        trace.identify("42")
        with trace.stage("fetch"), trace.stage("decode"), trace.stage("engine"), trace.stage("decide"):
            pass
        with trace.sending("images.verdicts") as outcome_headers:
            return outcome_headers


def by_name(spans: Sequence[ReadableSpan]) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans}


def test_one_trace_leads_from_the_producer_through_every_stage_to_the_verdict(
    tracer: RecordTracer, exporter: InMemorySpanExporter
) -> None:
    outcome_headers = moderate(tracer)

    spans = by_name(exporter.get_finished_spans())
    assert set(spans) == {
        "process images.uploaded", "fetch", "decode", "engine", "decide", "send images.verdicts"
    }  # fmt: skip
    assert {f"{span.context.trace_id:032x}" for span in spans.values() if span.context} == {TRACE_ID}
    process, send = spans["process images.uploaded"], spans["send images.verdicts"]
    assert process.parent is not None
    assert f"{process.parent.span_id:016x}" == PRODUCER_SPAN_ID
    assert send.parent == process.context
    assert send.context is not None
    assert dict(outcome_headers) == {
        "traceparent": f"00-{TRACE_ID}-{send.context.span_id:016x}-01".encode(),
        "tracestate": b"vendor=1",
    }


def test_spans_say_what_the_messaging_conventions_ask_for(tracer: RecordTracer, exporter: InMemorySpanExporter) -> None:
    moderate(tracer)

    spans = by_name(exporter.get_finished_spans())
    process, send = spans["process images.uploaded"], spans["send images.verdicts"]
    assert (process.kind, send.kind, spans["fetch"].kind) == (SpanKind.CONSUMER, SpanKind.PRODUCER, SpanKind.INTERNAL)
    assert process.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "images.uploaded",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 17,
        "messaging.consumer.group.name": "group",
        "messaging.message.id": "42",
    }
    assert send.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "images.verdicts",
    }


def test_every_attribute_name_stands_in_the_published_conventions() -> None:
    published = {
        value
        for module in (messaging_attributes, service_attributes, error_attributes)
        for value in vars(module).values()
        if isinstance(value, str)
    }
    ours = {value for name, value in vars(names).items() if name.startswith(("MESSAGING_", "SERVICE_", "ERROR_"))}
    assert ours - {names.MESSAGING_SYSTEM_KAFKA} <= published
    assert Schemas.V1_44_0.value == names.SCHEMA_URL


def test_stages_outside_a_producers_trace_start_their_own(tracer: RecordTracer, exporter: InMemorySpanExporter) -> None:
    moderate(tracer, headers=(("traceparent", b"\xff\xfe nonsense"),))

    spans = by_name(exporter.get_finished_spans())
    assert spans["process images.uploaded"].parent is None
    assert spans["fetch"].parent == spans["process images.uploaded"].context


def test_an_error_gives_its_reason_to_the_stage_and_to_the_record(
    tracer: RecordTracer, exporter: InMemorySpanExporter
) -> None:
    with (
        pytest.raises(FetchTimeoutError),
        tracer.process(topic="images.uploaded", partition=0, offset=0, headers=()) as trace,
        trace.stage("fetch"),
    ):
        raise FetchTimeoutError(detail="5 s")

    for span in exporter.get_finished_spans():
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes is not None
        assert span.attributes["error.type"] == "fetch.timeout"


def test_an_error_of_a_library_gives_its_type_and_not_its_words(
    tracer: RecordTracer, exporter: InMemorySpanExporter
) -> None:
    with (
        pytest.raises(OSError, match="signed"),
        tracer.process(topic="images.uploaded", partition=0, offset=0, headers=()) as trace,
        trace.stage("fetch"),
    ):
        raise ConnectionResetError("https://cdn.example.com/1.jpg?signed=secret")

    fetch = by_name(exporter.get_finished_spans())["fetch"]
    assert fetch.attributes == {"error.type": "ConnectionResetError"}
    assert fetch.status.description is None
    assert "secret" not in fetch.to_json()


def test_an_untraced_record_passes_its_producers_context_on_untouched() -> None:
    assert dict(moderate(RecordTracer(NoOpTracer(), group_id="group"))) == {
        "traceparent": f"00-{TRACE_ID}-{PRODUCER_SPAN_ID}-01".encode(),
        "tracestate": b"vendor=1",
    }
    assert moderate(RecordTracer(NoOpTracer(), group_id="group"), headers=()) == ()


def test_an_unsampled_record_makes_no_spans_beneath_it(exporter: InMemorySpanExporter) -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    headers = moderate(RecordTracer(provider.get_tracer("test"), group_id="group"), headers=())

    assert exporter.get_finished_spans() == ()
    sampled_flag = int(dict(headers)["traceparent"][-2:], 16) & 1
    assert sampled_flag == 0


def test_milliseconds_are_told_by_stage_with_the_wait_before_and_the_total(tracer: RecordTracer, clock: Clock) -> None:
    received_at_s = clock.now_s
    clock.now_s += 0.5
    with tracer.process(
        topic="images.uploaded", partition=0, offset=0, headers=(), received_at_s=received_at_s
    ) as trace:
        with trace.stage("fetch"):
            clock.now_s += 0.25
        with trace.stage("engine"):
            clock.now_s += 1
        assert trace.timings_ms() == {"wait": 500, "fetch": 250, "engine": 1000, "total": 1750}


def test_a_stage_that_runs_again_after_a_failure_adds_up(clock: Clock) -> None:
    timer = StageTimer(clock=clock)
    for error in (FetchTimeoutError(detail="2 s"), None):
        with suppress(FetchTimeoutError), timer.stage("fetch"):
            clock.now_s += 1.5
            if error:
                raise error
    assert timer.timings_ms() == {"wait": 0, "fetch": 3000, "total": 3000}
