"""Spans that a test can look at."""

from typing import cast

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import SpanContext

from service.telemetry.recording_span import RecordingSpan
from service.telemetry.sdk_spans import SdkSpans


class KeptSpans(SpanProcessor):
    """Keeps what has ended, in order."""

    def __init__(self) -> None:
        self.spans: list[RecordingSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Keep it."""
        self.spans.append(cast("RecordingSpan", span))

    def sink(self, *, ratio: float = 1.0) -> SdkSpans:
        """Return what hands spans to it."""
        return SdkSpans(self, ratio=ratio)

    def named(self, name: str) -> RecordingSpan:
        """Return the only span of a name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found

    @property
    def names(self) -> list[str]:
        """Names of all, sorted."""
        return sorted(span.name for span in self.spans)


def links_of(span: RecordingSpan) -> dict[object, SpanContext]:
    """Return where a span's links lead, by what they lead to."""
    return {(link.attributes or {})["modstream.link"]: link.context for link in span.links}
