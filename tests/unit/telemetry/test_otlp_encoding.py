"""What is encoded by hand is read by the generated classes, field by field."""

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags, TraceState

from service.core.spans import Value
from service.media.errors import FetchTimeoutError
from service.telemetry.otlp_encoding import SpanEncoder
from service.telemetry.recording_span import RecordingSpan, Timeline, link
from service.telemetry.redaction import MAX_TEXT_CHARACTERS
from testing.spans import KeptSpans

SAMPLED = TraceFlags(TraceFlags.SAMPLED)
CONTEXT = SpanContext((7 << 64) + 5, 9, is_remote=False, trace_flags=SAMPLED, trace_state=TraceState([("a", "1")]))
UPLOADER = SpanContext((1 << 127) + 5, (1 << 64) - 1, is_remote=True, trace_flags=SAMPLED)
FACTS: dict[str, Value] = {
    "text": "x" * 300,
    "half": "\ud800",
    "yes": True,
    "one": 1,
    "negative": -5,
    "large": 1 << 40,
    "share": 0.5,
}


def encoded(*spans: RecordingSpan) -> ExportTraceServiceRequest:
    resource = Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value="modstream"))])
    encoder = SpanEncoder(resource, InstrumentationScope(name="scope", version="1"), schema_url="https://schema")
    request: ExportTraceServiceRequest = ExportTraceServiceRequest.FromString(encoder.encode(spans))
    return request


def span(attributes: dict[str, Value], parent: SpanContext | None = UPLOADER) -> RecordingSpan:
    sink, timeline = KeptSpans().sink(), Timeline(lambda: 1.0)
    made = RecordingSpan(sink, timeline, "process über", CONTEXT, parent, SpanKind.CONSUMER, attributes)
    made.link(UPLOADER, to="uploader")
    made.links = (*made.links, link(CONTEXT, to="commit"))
    made.end(at_s=3.0)
    return made


def read(request: ExportTraceServiceRequest) -> Span:
    found: Span = request.resource_spans[0].scope_spans[0].spans[0]
    return found


def test_a_request_names_resource_scope_and_schema() -> None:
    (sent,) = encoded(span({}), span({})).resource_spans
    assert sent.resource.attributes[0].value.string_value == "modstream"
    assert (sent.schema_url, sent.scope_spans[0].schema_url) == ("https://schema", "https://schema")
    assert (sent.scope_spans[0].scope.name, len(sent.scope_spans[0].spans)) == ("scope", 2)


def test_every_field_of_a_span_arrives() -> None:
    made = span(dict(FACTS))
    found = read(encoded(made))
    assert (found.trace_id, found.span_id) == (CONTEXT.trace_id.to_bytes(16, "big"), CONTEXT.span_id.to_bytes(8, "big"))
    assert found.parent_span_id == UPLOADER.span_id.to_bytes(8, "big")
    assert (found.trace_state, found.name, found.kind) == ("a=1", "process über", Span.SPAN_KIND_CONSUMER)
    assert (found.start_time_unix_nano, found.end_time_unix_nano) == (made.start_ns, made.end_ns)
    assert found.end_time_unix_nano - found.start_time_unix_nano == 2_000_000_000
    assert found.flags == 0x300
    assert found.status.code == Status.STATUS_CODE_UNSET


def test_attributes_keep_their_types_and_what_is_no_text_is_replaced() -> None:
    found = {fact.key: fact.value for fact in read(encoded(span(dict(FACTS)))).attributes}
    assert (found["text"].string_value, found["half"].string_value) == ("x" * 300, r"\ud800")
    assert (found["yes"].bool_value, found["one"].int_value, found["negative"].int_value) == (True, 1, -5)
    assert found["yes"].WhichOneof("value") == "bool_value", "equal to 1, and remembered apart from it"
    assert (found["large"].int_value, found["share"].double_value) == (1 << 40, 0.5)


def test_links_say_where_they_lead() -> None:
    uploader, commit = read(encoded(span({}))).links
    assert (uploader.trace_id, uploader.span_id) == (UPLOADER.trace_id.to_bytes(16, "big"), b"\xff" * 8)
    assert [(each.key, each.value.string_value) for each in uploader.attributes] == [("modstream.link", "uploader")]
    assert (uploader.flags, commit.flags, commit.trace_state) == (0x300, 0x100, "a=1")


def test_an_error_arrives_with_its_message() -> None:
    made = span({}, parent=None)
    made.fail(FetchTimeoutError(detail="5 s"))
    found = read(encoded(made))
    assert (found.parent_span_id, found.flags) == (b"", 0x100)
    assert found.status.code == Status.STATUS_CODE_ERROR
    assert "5 s" in found.status.message


def test_an_id_of_a_stranger_is_one_plain_line_with_an_end() -> None:
    attributes: dict[str, Value] = {"id": "\x1b[2J\u202e\n" + "a" * 100_000}
    (fact,) = read(encoded(span(attributes))).attributes
    assert fact.value.string_value.startswith(r"\x1b[2J\u202e\naaa")
    assert len(fact.value.string_value) == MAX_TEXT_CHARACTERS + 1
