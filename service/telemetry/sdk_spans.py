"""The edge to OpenTelemetry's SDK: sampling, identities and the exporter. Imported only where something is exported."""

import logging
import os
from collections.abc import Callable, Sequence
from typing import cast

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as OtlpResource
from opentelemetry.sdk.environment_variables import OTEL_BSP_MAX_EXPORT_BATCH_SIZE, OTEL_BSP_MAX_QUEUE_SIZE
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import Link, SpanContext, TraceFlags

from service.telemetry import names
from service.telemetry.bounded_answers import bound_answers
from service.telemetry.collector_outage import CollectorOutage, WatchedClient
from service.telemetry.otlp_encoding import SpanEncoder
from service.telemetry.recording_span import RecordingSpan
from service.telemetry.resource import process_resource

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_DROPPED = TraceFlags(TraceFlags.DEFAULT)

# A process that judges 1,000 records a second makes 10,000 spans; the SDK's 2,048 would be full after 0.2 s.
_MAX_QUEUE = 16_384
_MAX_BATCH = 2048

_QUEUE_LOGGER = "opentelemetry.sdk._shared_internal"
"""It warns of a full queue, which a collector that is away brings about."""


class SdkSpans:
    """Makes spans known to a span processor of the SDK."""

    def __init__(self, processor: SpanProcessor, *, ratio: float) -> None:
        self._processor = processor
        self._bound = TraceIdRatioBased.get_bound_for_rate(ratio)
        self._ids = RandomIdGenerator()

    def begin(self, *, parent: SpanContext | None, links: tuple[Link, ...]) -> SpanContext:
        """Follow the parent's decision; without one, sample what links to a sampled trace, and a share of the rest."""
        if parent is not None:
            trace_id, is_sampled, state = parent.trace_id, parent.trace_flags.sampled, parent.trace_state
        else:
            trace_id, state = self._ids.generate_trace_id(), None
            is_sampled = trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < self._bound
            is_sampled = is_sampled or any(link.context.trace_flags.sampled for link in links)
        flags = _SAMPLED if is_sampled else _DROPPED
        return SpanContext(trace_id, self._ids.generate_span_id(), False, flags, state)

    def child_context(self, parent: SpanContext) -> SpanContext:
        """Stay in the trace."""
        span_id = self._ids.generate_span_id()
        return SpanContext(parent.trace_id, span_id, False, parent.trace_flags, parent.trace_state)

    def new_root(self) -> SpanContext:
        """Begin a trace that is kept."""
        return SpanContext(self._ids.generate_trace_id(), self._ids.generate_span_id(), False, _SAMPLED)

    def take(self, span: RecordingSpan) -> None:
        """Hand it to the processor, which asks for its context and hands it to the exporter."""
        self._processor.on_end(cast("ReadableSpan", span))


class RecordingSpanExporter(OTLPSpanExporter):
    """The SDK's exporter (its connection, retries and variables of the environment) with an encoder that is faster."""

    def __init__(self, url: str, encoder: SpanEncoder, outage: CollectorOutage) -> None:
        super().__init__(url)
        bound_answers(self)
        self._encoder = encoder
        self._watched = WatchedClient(self._client, outage)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        sent = self._watched.export(self._encoder.encode(cast("Sequence[RecordingSpan]", spans)))
        return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE


def exporting_spans(url: str, *, ratio: float, version: str) -> tuple[SdkSpans, Callable[[], None]]:
    """Return what sends spans to a URL by OTLP over HTTP, in batches from a thread of its own, and what stops it."""
    outage = CollectorOutage("traces", url)
    logging.getLogger(_QUEUE_LOGGER).addFilter(outage.leaves_open)
    processor = BatchSpanProcessor(
        RecordingSpanExporter(url, new_encoder(version), outage),
        max_queue_size=int(os.environ.get(OTEL_BSP_MAX_QUEUE_SIZE, _MAX_QUEUE)),
        max_export_batch_size=int(os.environ.get(OTEL_BSP_MAX_EXPORT_BATCH_SIZE, _MAX_BATCH)),
    )
    return SdkSpans(processor, ratio=ratio), processor.shutdown


def new_encoder(version: str) -> SpanEncoder:
    """Return an encoder that names this process as where the spans come from."""
    resource = process_resource(version)
    facts = [KeyValue(key=name, value=AnyValue(string_value=str(value))) for name, value in resource.attributes.items()]
    scope = InstrumentationScope(name=names.SCOPE, version=version)
    return SpanEncoder(OtlpResource(attributes=facts), scope, schema_url=names.SCHEMA_URL)
