"""Spans arrive at a real OTLP/HTTP server, as protobuf, with the resource that names this service."""

import gzip
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import create_server
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from service.settings import TelemetrySettings
from service.telemetry.record_trace import RecordTracer
from service.telemetry.tracing import FLUSH_LIMIT_S, build_tracer

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


class Collector(ThreadingHTTPServer):
    """Keeps what OTLP/HTTP exporters send to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), CollectorHandler)
        self.received: list[tuple[str, ResourceSpans]] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class CollectorHandler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        plain = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        request = ExportTraceServiceRequest.FromString(plain)
        self.server.received += [(self.path, spans) for spans in request.resource_spans]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing about requests."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = Thread(target=server.serve_forever, name="collector")
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def texts(attributes: Iterable[KeyValue]) -> dict[str, str]:
    return {entry.key: entry.value.string_value for entry in attributes}


def trace_one_record(settings: TelemetrySettings) -> float:
    """Trace one record; return the seconds that stopping took."""
    tracer, stop = build_tracer(settings, version="1.2.3")
    producer = (("traceparent", f"00-{TRACE_ID}-b7ad6b7169203331-01".encode()),)
    records = RecordTracer(tracer, group_id="group")
    with records.process(topic="images.uploaded", partition=0, offset=1, headers=producer) as trace:
        with trace.stage("fetch"):
            pass
        with trace.sending("images.verdicts"):
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
    spans = [span for scope in sent.scope_spans for span in scope.spans]
    assert {span.name for span in spans} == {"process images.uploaded", "fetch", "send images.verdicts"}
    assert {span.trace_id.hex() for span in spans} == {TRACE_ID}
    assert sent.scope_spans[0].schema_url == "https://opentelemetry.io/schemas/1.44.0"


def test_the_producers_sampling_decision_outweighs_the_ratio(collector: Collector) -> None:
    trace_one_record(TelemetrySettings(otlp_endpoint=collector.endpoint, trace_ratio=0.0))
    assert len(collector.received) == 1


def test_a_collector_that_hears_and_never_answers_does_not_hold_up_the_stop() -> None:
    with create_server(("127.0.0.1", 0)) as deaf:
        seconds = trace_one_record(TelemetrySettings(otlp_endpoint=f"http://127.0.0.1:{deaf.getsockname()[1]}"))
    assert seconds < FLUSH_LIMIT_S + 2
