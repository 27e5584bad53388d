"""One record, one trace, from the producer's context to the published outcome."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from opentelemetry.semconv._incubating.attributes import (
    dns_attributes,
    error_attributes,
    gen_ai_attributes,
    http_attributes,
    messaging_attributes,
    server_attributes,
    service_attributes,
    url_attributes,
)
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from service.core.spans import NOOP, current_span, waiting
from service.media.errors import FetchTimeoutError
from service.telemetry import names
from service.telemetry.commit_trace import committing
from service.telemetry.names import Headers, Stage
from service.telemetry.record_trace import Arrival, RecordTracer, StageTimer
from service.telemetry.recording_span import SpanSink
from testing.spans import KeptSpans

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PRODUCER_SPAN_ID = "b7ad6b7169203331"
PRODUCER: Headers = (
    ("ce_id", b"42"),
    ("traceparent", f"00-{TRACE_ID}-{PRODUCER_SPAN_ID}-01".encode()),
    ("tracestate", b"vendor=1"),
)
PROCESS = "process images.uploaded"
SEND = "send images.verdicts"
STAGES: tuple[Stage, ...] = ("fetch", "decode", "engine", "decide")


class Clock:
    """Moves only when the test advances it."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def kept() -> KeptSpans:
    return KeptSpans()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tracer(kept: KeptSpans, clock: Clock) -> RecordTracer:
    return RecordTracer(kept.sink(), group_id="group", clock=clock)


def arrival(headers: Headers = PRODUCER, *, received_at_s: float = 100.0, retry_topic: str | None = None) -> Arrival:
    return Arrival("images.uploaded", 3, 17, 0, headers, received_at_s, retry_topic)


def moderate(sink: SpanSink | None, headers: Headers = PRODUCER) -> Headers:
    """Go through every stage and a commit; return what the verdict's headers carry."""
    with RecordTracer(sink, group_id="group").delivery(arrival(headers)).attempt(1) as trace:
        trace.identify("42")
        for stage in STAGES:
            with trace.stage(stage):
                pass
        sending = trace.sending("images.verdicts")
    with committing([sending.span], partition="images.uploaded/3", records=1):
        pass
    return sending.headers


def test_one_trace_leads_from_the_producer_through_every_stage_to_the_verdict(kept: KeptSpans) -> None:
    outcome_headers = moderate(kept.sink())

    assert set(kept.names) == {PROCESS, "wait", "fetch", "decode", "engine", "decide", SEND, "commit images.uploaded"}
    process, send, commit = kept.named(PROCESS), kept.named(SEND), kept.named("commit images.uploaded")
    assert process.parent is not None
    assert f"{process.parent.span_id:016x}" == PRODUCER_SPAN_ID
    in_trace = [span for span in kept.spans if span is not commit]
    assert {f"{span.context.trace_id:032x}" for span in in_trace} == {TRACE_ID}
    assert all(span.parent == process.context for span in in_trace if span is not process)
    assert dict(outcome_headers) == {
        "traceparent": f"00-{TRACE_ID}-{send.context.span_id:016x}-01".encode(),
        "tracestate": b"vendor=1",
    }


def test_spans_say_what_the_messaging_conventions_ask_for(kept: KeptSpans) -> None:
    moderate(kept.sink())

    process, send = kept.named(PROCESS), kept.named(SEND)
    assert (process.kind, send.kind, kept.named("fetch").kind) == (
        SpanKind.CONSUMER, SpanKind.PRODUCER, SpanKind.INTERNAL
    )  # fmt: skip
    assert process.attributes.pop("modstream.queue_ms")
    assert process.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "images.uploaded",
        "messaging.destination.partition.id": "3",
        "messaging.kafka.offset": 17,
        "messaging.consumer.group.name": "group",
        "messaging.message.id": "42",
        "modstream.attempt": 1,
    }
    assert send.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "images.verdicts",
    }


def published() -> Iterator[str]:
    """Yield every attribute name of the conventions that are used here."""
    modules = (
        messaging_attributes, service_attributes, error_attributes, http_attributes, server_attributes,
        url_attributes, dns_attributes, gen_ai_attributes,
    )  # fmt: skip
    for module in modules:
        yield from (value for value in vars(module).values() if isinstance(value, str))


def test_every_attribute_name_stands_in_the_published_conventions() -> None:
    ours = {
        value
        for name, value in vars(names).items()
        if name.startswith(("MESSAGING_", "SERVICE_", "ERROR_", "HTTP_", "SERVER_", "URL_", "DNS_", "GEN_AI_"))
    }
    assert ours - {names.MESSAGING_SYSTEM_KAFKA} <= set(published())
    assert Schemas.V1_44_0.value == names.SCHEMA_URL


def test_stages_outside_a_producers_trace_start_their_own(kept: KeptSpans) -> None:
    moderate(kept.sink(), headers=(("traceparent", b"\xff\xfe nonsense"),))

    assert kept.named(PROCESS).parent is None
    assert kept.named("fetch").parent == kept.named(PROCESS).context


def test_an_error_gives_its_reason_to_the_stage_and_to_the_record(tracer: RecordTracer, kept: KeptSpans) -> None:
    with (
        pytest.raises(FetchTimeoutError),
        tracer.delivery(arrival()).attempt(1) as trace,
        trace.stage("fetch"),
    ):
        raise FetchTimeoutError(detail="5 s")

    for span in kept.spans:
        assert span.status is not None
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == "fetch.timeout"


def test_an_error_of_a_library_gives_its_type_and_not_its_words(tracer: RecordTracer, kept: KeptSpans) -> None:
    with (
        pytest.raises(OSError, match="signed"),
        tracer.delivery(arrival()).attempt(1) as trace,
        trace.stage("fetch"),
    ):
        raise ConnectionResetError("https://cdn.example.com/1.jpg?signed=secret")

    fetch = kept.named("fetch")
    assert fetch.attributes == {"error.type": "ConnectionResetError"}
    assert fetch.status is not None
    assert fetch.status.description is None


def test_an_untraced_record_passes_its_producers_context_on_untouched() -> None:
    assert dict(moderate(None)) == {
        "traceparent": f"00-{TRACE_ID}-{PRODUCER_SPAN_ID}-01".encode(),
        "tracestate": b"vendor=1",
    }
    assert moderate(None, headers=()) == ()


def test_an_unsampled_record_makes_no_spans_beneath_it(kept: KeptSpans) -> None:
    headers = moderate(kept.sink(ratio=0.0), headers=())

    assert kept.spans == []
    sampled_flag = int(dict(headers)["traceparent"][-2:], 16) & 1
    assert sampled_flag == 0


def test_opentelemetrys_own_current_span_is_the_records_so_that_logs_and_exemplars_name_its_trace(
    tracer: RecordTracer,
) -> None:
    with tracer.delivery(arrival()).attempt(1) as trace, trace.stage("fetch") as fetch:
        assert current_span() is fetch
        assert get_current_span().get_span_context() == trace.span.context
    assert current_span() is NOOP
    assert not get_current_span().get_span_context().is_valid


def test_waits_are_reported_from_a_millisecond_on(tracer: RecordTracer, kept: KeptSpans, clock: Clock) -> None:
    clock.now_s += 0.5
    with tracer.delivery(arrival()).attempt(1) as trace, trace.stage("decode") as decode:
        decode.waited("wait decoder", clock.now_s, clock.now_s + 0.0009)
        decode.waited("wait decoder", clock.now_s, clock.now_s + 0.002)
        with waiting("wait engine"):
            pass
    wait, process = kept.named("wait"), kept.named(PROCESS)
    assert kept.names == ["decode", PROCESS, "wait", "wait decoder"]
    assert kept.named("wait decoder").parent == kept.named("decode").context
    assert wait.start_ns == process.start_ns
    assert wait.end_ns - wait.start_ns == pytest.approx(500_000_000, abs=1000)


def test_milliseconds_are_reported_by_stage_with_the_wait_before_and_the_total(
    tracer: RecordTracer, clock: Clock
) -> None:
    delivery = tracer.delivery(arrival(()))
    clock.now_s += 0.5
    with delivery.attempt(1) as trace:
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
