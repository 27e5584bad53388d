"""A collector: a real HTTP server that decodes what OTLP exporters send to it."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span


class Collector(ThreadingHTTPServer):
    """Keeps what OTLP/HTTP exporters send to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), CollectorHandler)
        self.received: list[tuple[str, ResourceSpans]] = []
        self.metrics_received: list[ResourceMetrics] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def spans(self) -> list[Span]:
        return [span for _, sent in self.received for scope in sent.scope_spans for span in scope.spans]

    def metrics(self) -> dict[str, Metric]:
        """Return the newest of each metric by its name."""
        return {
            metric.name: metric
            for sent in self.metrics_received
            for scope in sent.scope_metrics
            for metric in scope.metrics
        }


@contextmanager
def running_collector() -> Iterator[Collector]:
    """Serve in a thread."""
    with Collector() as server:
        thread = Thread(target=server.serve_forever, name="collector")
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class CollectorHandler(BaseHTTPRequestHandler):
    """Keeps what is posted to the collector."""

    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        plain = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        if self.path == "/v1/metrics":
            self.server.metrics_received += ExportMetricsServiceRequest.FromString(plain).resource_metrics
        else:
            request = ExportTraceServiceRequest.FromString(plain)
            self.server.received += [(self.path, spans) for spans in request.resource_spans]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing about requests."""
