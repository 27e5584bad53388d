"""Spans arrive at a real OTLP/HTTP server, as protobuf, with the resource that names this service."""

import time
from collections.abc import Iterable
from socket import create_server

from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from service.settings.monitoring import TelemetrySettings
from service.telemetry.commit_trace import committing
from service.telemetry.record_trace import Arrival, RecordTracer
from service.telemetry.stopping import FLUSH_LIMIT_S
from service.telemetry.tracing import build_sink
from testing.otlp_receiver import Collector

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


def texts(attributes: Iterable[KeyValue]) -> dict[str, str]:
    return {entry.key: entry.value.string_value for entry in attributes}


def trace_one_record(settings: TelemetrySettings) -> float:
    """Trace one record; return the seconds that stopping took."""
    sink, stop = build_sink(settings, version="1.2.3")
    producer = (("traceparent", f"00-{TRACE_ID}-b7ad6b7169203331-01".encode()),)
    arrival = Arrival("images.uploaded", 0, 1, 0, producer, time.perf_counter())
    with RecordTracer(sink, group_id="group").delivery(arrival).attempt(1) as trace, trace.stage("fetch"):
        sending = trace.sending("images.verdicts")
    with committing([sending.span], partition="images.uploaded/0", records=1):
        pass
    begin = time.monotonic()
    stop()
    return time.monotonic() - begin


def test_the_spans_of_a_record_arrive_when_the_tracer_stops(collector: Collector) -> None:
    trace_one_record(TelemetrySettings(otlp_endpoint=collector.endpoint + "/"))

    ((path, sent),) = collector.received
    assert path == "/v1/traces"
    resource = texts(sent.resource.attributes)
    assert (resource["service.name"], resource["service.version"]) == ("modstream", "1.2.3")
    assert resource["service.instance.id"]
    spans = collector.spans()
    commit = "commit images.uploaded"
    assert {span.name for span in spans} == {"process images.uploaded", "fetch", "send images.verdicts", commit}
    assert {span.trace_id.hex() for span in spans if span.name != commit} == {TRACE_ID}
    assert sent.scope_spans[0].schema_url == "https://opentelemetry.io/schemas/1.44.0"


def test_the_producers_sampling_decision_outweighs_the_ratio(collector: Collector) -> None:
    trace_one_record(TelemetrySettings(otlp_endpoint=collector.endpoint, trace_ratio=0.0))
    assert len(collector.received) == 1


def test_a_collector_that_hears_and_never_answers_does_not_hold_up_the_stop() -> None:
    with create_server(("127.0.0.1", 0)) as deaf:
        seconds = trace_one_record(TelemetrySettings(otlp_endpoint=f"http://127.0.0.1:{deaf.getsockname()[1]}"))
    assert seconds < FLUSH_LIMIT_S + 2
