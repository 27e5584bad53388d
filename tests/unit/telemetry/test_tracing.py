"""Tracing costs nothing without an endpoint, and trace context survives Kafka headers."""

import subprocess
import sys
from typing import cast

from service.settings.monitoring import TelemetrySettings
from service.telemetry.names import Headers
from service.telemetry.propagation import earlier_attempt_of, failure_headers, kafka_headers, text_headers, uploader_of
from service.telemetry.tracing import build_sink, traces_url

TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

UNTRACED = """
import sys
from service.settings.monitoring import TelemetrySettings
from service.telemetry.record_trace import Arrival, RecordTracer
from service.telemetry.tracing import build_sink

sink, stop = build_sink(TelemetrySettings(), version="1")
delivery = RecordTracer(sink, group_id="group").delivery(Arrival("t", 0, 0, 0, (("traceparent", b"%s"),), 0.0))
with delivery.attempt(1) as trace, trace.stage("fetch"):
    trace.sending("v")
stop()
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter", "google"))])
"""


def test_without_an_endpoint_no_sdk_object_is_built() -> None:
    sink, stop = build_sink(TelemetrySettings(), version="1.2.3")
    assert sink is None
    assert traces_url(TelemetrySettings()) is None
    stop()


def test_without_an_endpoint_the_sdk_and_its_exporter_are_not_even_imported() -> None:
    script = UNTRACED % TRACEPARENT.decode()
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_trace_context_survives_the_way_through_headers() -> None:
    headers = (("key", b"\x00\xff"), ("traceparent", TRACEPARENT), ("tracestate", b"a=1,b=2"))
    context = uploader_of(headers)
    assert kafka_headers(context) == (("traceparent", TRACEPARENT), ("tracestate", b"a=1,b=2"))
    assert text_headers(context) == {"traceparent": TRACEPARENT.decode(), "tracestate": "a=1,b=2"}


def test_a_later_attempt_finds_the_one_that_failed_in_a_header_of_our_own() -> None:
    marks = failure_headers(uploader_of((("traceparent", TRACEPARENT),)))
    assert marks == (("modstream-traceparent", TRACEPARENT),)
    assert earlier_attempt_of((("traceparent", b"of the uploader"), *marks)) == uploader_of(
        (("traceparent", TRACEPARENT),)
    )


def test_headers_that_are_no_trace_context_give_none() -> None:
    for value in (b"", b"00", b"\xff\xfe", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", TRACEPARENT * 1000):
        assert uploader_of((("traceparent", value),)) is None
        assert earlier_attempt_of((("modstream-traceparent", value),)) is None
    null = cast("Headers", (("modstream-traceparent", None), ("traceparent", None)))  # Kafka allows it
    assert (uploader_of(null), earlier_attempt_of(null)) == (None, None)
