"""Metrics arrive at a real OTLP/HTTP server, histograms with the traces that their buckets lead to."""

import time

import pytest
from opentelemetry.metrics import Observation
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from service.settings.monitoring import TelemetrySettings
from service.telemetry.commit_trace import committing
from service.telemetry.instruments import RECORDS
from service.telemetry.metrics import Metrics, build_metrics
from service.telemetry.record_trace import Arrival, RecordTracer
from service.telemetry.tracing import build_sink
from testing.otlp_receiver import Collector

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PRODUCER = (("traceparent", f"00-{TRACE_ID}-b7ad6b7169203331-01".encode()),)


@pytest.fixture(params=[False, True], ids=["alone", "beside Prometheus"])
def metrics(request: pytest.FixtureRequest, collector: Collector) -> Metrics:
    settings = TelemetrySettings(otlp_endpoint=collector.endpoint + "/", metrics_interval_s=3600)
    built = build_metrics(settings, scraped=request.param, version="1.2.3")
    built.meter.create_observable_gauge("modstream.ready", [lambda _: [Observation(1)]])
    return built


def trace_one_record(settings: TelemetrySettings) -> None:
    sink, stop = build_sink(settings, version="1.2.3")
    arrival = Arrival("images.uploaded", 0, 1, 0, PRODUCER, time.perf_counter())
    with RecordTracer(sink, group_id="group").delivery(arrival).attempt(1) as trace:
        with trace.stage("fetch"):
            pass
        sending = trace.sending("images.verdicts")
    with committing([sending.span], partition="images.uploaded/0", records=1):
        pass
    stop()


def test_what_was_counted_arrives_when_the_service_stops(collector: Collector, metrics: Metrics) -> None:
    RECORDS.add(3, {"outcome": "judged", "reason": ""})
    metrics.stop()
    resource = {each.key: each.value.string_value for each in collector.metrics_received[0].resource.attributes}
    assert (resource["service.name"], resource["service.version"]) == ("modstream", "1.2.3")
    records = collector.metrics()["modstream.records"]
    assert records.unit == "{record}"
    assert records.sum.is_monotonic
    assert records.sum.aggregation_temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    (point,) = records.sum.data_points
    assert point.as_int or point.as_double == 3
    assert {each.key: each.value.string_value for each in point.attributes} == {"outcome": "judged", "reason": ""}
    assert collector.metrics()["modstream.ready"].gauge.data_points[0].as_int == 1


def test_a_bucket_leads_to_a_record_that_fell_into_it(collector: Collector, metrics: Metrics) -> None:
    trace_one_record(TelemetrySettings(otlp_endpoint=collector.endpoint))
    metrics.stop()
    (point,) = collector.metrics()["modstream.stage.duration"].histogram.data_points
    assert point.count == sum(point.bucket_counts) == 1
    (exemplar,) = point.exemplars
    assert exemplar.trace_id.hex() == TRACE_ID
    assert exemplar.span_id in {span.span_id for span in collector.spans() if span.name.startswith("process")}
