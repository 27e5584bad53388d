"""The trace of a commit of many records' outcomes; links join it to their traces in both directions."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from opentelemetry.trace import SpanKind

from service.core.spans import Span, Value
from service.telemetry import names
from service.telemetry.recording_span import RecordingSpan, link

MAX_LINKS = 32
"""From a commit to its outcomes: enough to find one; every outcome links to its commit in any case."""


@contextmanager
def committing(spans: Iterable[Span], *, partition: str, records: int) -> Iterator[None]:
    """Trace a commit of one partition, given as topic/number, if the trace of any of its outcomes is kept.

    The outcomes' spans end with it. They stay open if an error passes: nothing was published then, as far as is known.
    """
    kept = [span for span in spans if isinstance(span, RecordingSpan)]
    if not kept:
        yield
        return
    topic, _, number = partition.rpartition("/")
    links = tuple(link(span.context, to="outcome") for span in kept[:MAX_LINKS])
    attributes = _attributes(topic, number, records)
    with kept[0].new_root(
        f"{names.COMMIT} {topic}", kind=SpanKind.CLIENT, attributes=attributes, links=links
    ) as commit:
        yield
        commit.set(names.OUTCOME, "committed")
    for span in kept:
        span.link(commit.context, to="commit")
        span.end()


def _attributes(topic: str, number: str, records: int) -> dict[str, Value]:
    return {
        names.MESSAGING_SYSTEM: names.MESSAGING_SYSTEM_KAFKA,
        names.MESSAGING_OPERATION_NAME: names.COMMIT,
        names.MESSAGING_OPERATION_TYPE: names.SETTLE,
        names.MESSAGING_DESTINATION_NAME: topic,
        names.MESSAGING_DESTINATION_PARTITION_ID: number,
        names.MESSAGING_BATCH_MESSAGE_COUNT: records,
    }
