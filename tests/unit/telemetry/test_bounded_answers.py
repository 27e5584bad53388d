"""A collector's answer takes a bounded number of bytes, whatever listens at its address."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

from service.telemetry.bounded_answers import bound_answers


class Listener(ThreadingHTTPServer):
    """Answers every request with a status and some bytes, or with bytes without end."""

    def __init__(self, *, status: int, size: int | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.size = status, size
        self.left = threading.Event()
        """Set when a client has left an endless answer."""
        self.connections: set[tuple[str, int]] = set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Listener

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.connections.add(self.client_address)
        self.send_response(self.server.status)
        if self.server.size is not None:
            self.send_header("Content-Length", str(self.server.size))
            self.end_headers()
            self.wfile.write(b"x" * self.server.size)
            return
        self.end_headers()
        self.close_connection = True
        try:
            while True:
                self.wfile.write(bytes(65536))
        except OSError:
            self.server.left.set()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Say nothing."""


@contextmanager
def listening(*, status: int = 200, size: int | None = None) -> Iterator[tuple[Listener, OTLPMetricExporter]]:
    with Listener(status=status, size=size) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        exporter = OTLPMetricExporter(f"http://127.0.0.1:{server.server_port}")
        bound_answers(exporter)
        try:
            yield server, exporter
        finally:
            exporter.shutdown()
            server.shutdown()


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_without_end_is_left(status: int) -> None:
    with listening(status=status) as (server, exporter):
        sent = exporter._client.export(b"batch")
        assert (sent.success, sent.status_code) == (status == 200, status)
        assert server.left.wait(10)


@pytest.mark.parametrize("size", [0, 2, 1000])
def test_the_connection_of_an_ordinary_answer_is_used_again(size: int) -> None:
    with listening(size=size) as (server, exporter):
        assert all(exporter._client.export(b"batch").success for _ in range(3))
        assert len(server.connections) == 1
