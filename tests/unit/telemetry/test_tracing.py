"""The tracer costs nothing without an endpoint, and trace context survives Kafka headers."""

import subprocess
import sys

from opentelemetry.trace import NoOpTracer

from service.settings import TelemetrySettings
from service.telemetry.tracing import build_tracer, extract, inject

TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

UNTRACED = """
import sys
from service.settings import TelemetrySettings
from service.telemetry.record_trace import RecordTracer
from service.telemetry.tracing import build_tracer

tracer, stop = build_tracer(TelemetrySettings(), version="1")
records = RecordTracer(tracer, group_id="group")
with records.process(topic="t", partition=0, offset=0, headers=(("traceparent", b"%s"),)) as trace:
    with trace.stage("fetch"), trace.sending("v"):
        pass
stop()
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter", "google"))])
"""


def test_without_an_endpoint_no_sdk_object_is_built() -> None:
    tracer, stop = build_tracer(TelemetrySettings(), version="1.2.3")
    assert type(tracer) is NoOpTracer
    stop()


def test_without_an_endpoint_the_sdk_and_its_exporter_are_not_even_imported() -> None:
    script = UNTRACED % TRACEPARENT.decode()
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_trace_context_survives_the_way_through_headers() -> None:
    headers = (("key", b"\x00\xff"), ("traceparent", TRACEPARENT), ("tracestate", b"a=1,b=2"))
    assert inject(extract(headers)) == (("traceparent", TRACEPARENT), ("tracestate", b"a=1,b=2"))


def test_headers_that_are_no_trace_context_give_none() -> None:
    for value in (b"", b"00", b"\xff\xfe", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", TRACEPARENT * 1000):
        assert inject(extract((("traceparent", value),))) == ()
