"""A collector that is away costs one line when it goes, one from time to time and one when it is back."""

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import orjson
import pytest

from service.settings.monitoring import TelemetrySettings
from service.telemetry.collector_outage import REMINDER_S, CollectorOutage
from service.telemetry.instruments import RECORDS
from service.telemetry.logs import configure_logging
from service.telemetry.metrics import build_metrics
from service.telemetry.record_trace import Arrival, RecordTracer
from service.telemetry.tracing import build_sink

Lines = Callable[[], list[dict[str, Any]]]


@dataclass
class Result:
    success: bool = False
    status_code: int | None = None
    reason: str | None = None
    error: Exception | None = None


@pytest.fixture
def lines() -> Lines:
    stream = io.StringIO()
    configure_logging(TelemetrySettings(), stream=stream)
    return lambda: [orjson.loads(line) for line in stream.getvalue().splitlines()]


@contextmanager
def refusing_collector() -> Iterator[str]:
    """Serve 404 for everything, as a wrong address of a web server does."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_error(404)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def trace_one_record(settings: TelemetrySettings) -> None:
    sink, stop = build_sink(settings, version="1")
    producer = (("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)
    delivery = RecordTracer(sink, group_id="group").delivery(Arrival("t", 0, 0, 0, producer, 0.0))
    with delivery.attempt(1) as trace, trace.stage("fetch"):
        pass
    stop()


def test_an_outage_is_one_line_with_a_count_from_time_to_time_and_one_at_its_end(lines: Lines) -> None:
    now_s = 0.0
    outage = CollectorOutage("traces", "http://collector:4318/v1/traces", clock=lambda: now_s)
    refused = Result(error=ConnectionRefusedError(111, "Connection refused"))
    for _ in range(100):
        outage.take_note(refused)
        now_s += REMINDER_S / 50
    outage.take_note(Result(success=True))
    outage.take_note(Result(success=True))

    first, reminder, end = lines()
    assert (first["event"], first["level"]) == ("telemetry.export_failing", "warning")
    assert (first["signal"], first["setting"]) == ("traces", "telemetry.otlp_endpoint")
    assert first["detail"] == "ConnectionRefusedError: [Errno 111] Connection refused"
    assert "spans are lost" in first["effect"]
    assert (first["failed"], reminder["failed"], reminder["for_s"]) == (1, 51, REMINDER_S)
    assert (end["event"], end["level"]) == ("telemetry.export_resumed", "info")
    assert (end["failed"], end["after_s"]) == (100, 2 * REMINDER_S)


def test_each_outage_is_reported(lines: Lines) -> None:
    outage = CollectorOutage("metrics", "http://collector:4318/v1/metrics")
    for _ in range(2):
        outage.take_note(Result(status_code=503, reason="Service Unavailable"))
        outage.take_note(Result(success=True, status_code=200))
    assert [line["event"] for line in lines()] == ["telemetry.export_failing", "telemetry.export_resumed"] * 2
    assert lines()[0]["detail"] == "the collector answered 503 Service Unavailable"


def test_credentials_of_the_endpoint_are_not_logged(lines: Lines) -> None:
    CollectorOutage("traces", "http://me:secret@collector:4318/v1/traces").take_note(Result())
    assert "secret" not in lines()[0]["url"]


@pytest.mark.parametrize("signal", ["traces", "metrics"])
def test_of_a_collector_that_is_down_the_log_has_one_line_with_the_first_cause(
    lines: Lines, signal: str, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")  # less than the pause before a retry
    settings = TelemetrySettings(otlp_endpoint=f"http://127.0.0.1:{unused_tcp_port}", metrics_interval_s=3600)
    if signal == "traces":
        trace_one_record(settings)
    else:
        metrics = build_metrics(settings, scraped=False, version="1")
        RECORDS.add(1, {"outcome": "judged", "reason": ""})
        metrics.stop()
    (line,) = lines()
    assert (line["event"], line["signal"]) == ("telemetry.export_failing", signal)
    assert line["detail"] == "ConnectionRefusedError: [Errno 111] Connection refused"


def test_an_endpoint_that_is_no_collector_is_reported_with_its_answer(lines: Lines) -> None:
    with refusing_collector() as endpoint:
        trace_one_record(TelemetrySettings(otlp_endpoint=endpoint))
    (line,) = lines()
    assert line["detail"] == "the collector answered 404 Not Found"


def test_a_full_queue_is_reported_by_the_library_while_the_collector_answers_alone(lines: Lines) -> None:
    outage = CollectorOutage("traces", "http://collector:4318/v1/traces")
    line = logging.makeLogRecord({})
    assert outage.leaves_open(line)
    outage.take_note(Result())
    assert not outage.leaves_open(line)
    outage.take_note(Result(success=True))
    assert outage.leaves_open(line)
