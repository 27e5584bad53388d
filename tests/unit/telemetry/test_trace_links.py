"""What links join: attempts at a record, the record and its commit."""

from contextlib import suppress

import pytest
from opentelemetry.trace import SpanKind

from service.core.spans import NOOP
from service.media.errors import FetchTimeoutError
from service.telemetry.commit_trace import MAX_LINKS, committing
from service.telemetry.names import Headers
from service.telemetry.propagation import earlier_attempt_of
from service.telemetry.record_trace import Arrival, RecordTrace, RecordTracer
from testing.spans import KeptSpans, links_of

PRODUCER_SPAN_ID = "b7ad6b7169203331"
PRODUCER: Headers = (("traceparent", f"00-0af7651916cd43dd8448eb211c80319c-{PRODUCER_SPAN_ID}-01".encode()),)
PROCESS = "process images.uploaded"
SEND = "send images.verdicts"


@pytest.fixture
def kept() -> KeptSpans:
    return KeptSpans()


@pytest.fixture
def tracer(kept: KeptSpans) -> RecordTracer:
    return RecordTracer(kept.sink(), group_id="group", clock=lambda: 100.0)


def arrival(headers: Headers = PRODUCER, *, retry_topic: str | None = None) -> Arrival:
    return Arrival("images.uploaded", 3, 17, 0, headers, 100.0, retry_topic)


def failed(tracer: RecordTracer, headers: Headers, *, attempts: int = 1) -> RecordTrace:
    """Fail so often at one delivery; return the trace of the last attempt."""
    delivery = tracer.delivery(arrival(headers))
    for attempt in range(1, attempts + 1):
        with suppress(FetchTimeoutError), delivery.attempt(attempt) as trace:
            raise FetchTimeoutError(detail="5 s")
    return trace


def test_an_outcomes_span_ends_with_the_commit_that_publishes_it(tracer: RecordTracer, kept: KeptSpans) -> None:
    with tracer.delivery(arrival()).attempt(1) as trace:
        sending = trace.sending("images.verdicts")
    assert kept.names == [PROCESS]

    with pytest.raises(OSError, match="broken"), committing([sending.span], partition="images.uploaded/3", records=1):
        raise OSError("broken pipe")
    assert SEND not in kept.names, "nothing was published"
    assert kept.spans.pop().attributes["error.type"] == "OSError"

    with committing([sending.span], partition="images.uploaded/3", records=1):
        pass
    commit, send = kept.named("commit images.uploaded"), kept.named(SEND)
    assert commit.context.trace_id != send.context.trace_id
    assert links_of(commit) == {"outcome": send.context}
    assert links_of(send) == {"commit": commit.context}
    assert commit.attributes["modstream.outcome"] == "committed"
    assert (commit.attributes["messaging.destination.partition.id"], commit.kind) == ("3", SpanKind.CLIENT)


def test_a_commits_links_are_bounded_and_its_outcomes_are_not(tracer: RecordTracer, kept: KeptSpans) -> None:
    sent = []
    for _ in range(MAX_LINKS + 5):
        with tracer.delivery(arrival()).attempt(1) as trace:
            sent.append(trace.sending("images.verdicts").span)
    with committing([*sent, NOOP], partition="images.uploaded/3", records=len(sent) + 1):
        pass
    commit = kept.named("commit images.uploaded")
    assert len(commit.links) == MAX_LINKS
    assert kept.names.count(SEND) == MAX_LINKS + 5


def test_further_attempts_at_a_delivery_stay_in_its_trace_and_link_to_the_one_before(
    tracer: RecordTracer, kept: KeptSpans
) -> None:
    failed(tracer, PRODUCER, attempts=2)
    first, second = kept.spans
    assert (first.parent, first.links) == (second.parent, ())
    assert links_of(second) == {"earlier_attempt": first.context}
    assert [span.attributes["modstream.attempt"] for span in kept.spans] == [1, 2]

    kept.spans.clear()
    failed(tracer, (), attempts=2)
    first, second = kept.spans
    assert (first.parent, second.parent) == (None, first.context)


def test_a_record_that_comes_back_starts_a_trace_with_links_to_the_attempt_before_and_to_the_uploader(
    tracer: RecordTracer, kept: KeptSpans
) -> None:
    marks = failed(tracer, PRODUCER).failure_headers()
    before = kept.spans.pop()
    assert earlier_attempt_of(marks) is not None

    with tracer.delivery(arrival((*PRODUCER, *marks), retry_topic="images.uploaded.retry.30s")).attempt(5) as trace:
        headers = trace.sending("images.verdicts").headers
    process = kept.named(PROCESS)
    assert (process.parent, process.attributes["modstream.retry_topic"]) == (None, "images.uploaded.retry.30s")
    assert process.context.trace_id != before.context.trace_id
    links = links_of(process)
    assert links["earlier_attempt"].span_id == before.context.span_id
    assert f"{links['uploader'].span_id:016x}" == PRODUCER_SPAN_ID
    assert f"{process.context.trace_id:032x}" in dict(headers)["traceparent"].decode()


def test_a_sampled_trace_stays_sampled_to_its_end_whatever_the_ratio(kept: KeptSpans) -> None:
    sparing = RecordTracer(kept.sink(ratio=0.0), group_id="group", clock=lambda: 100.0)
    marks = failed(sparing, PRODUCER).failure_headers()
    kept.spans.clear()

    failed(sparing, (*PRODUCER, *marks))
    assert PROCESS in kept.names
    kept.spans.clear()

    assert failed(sparing, ()).failure_headers() == (), "an attempt of which nothing is kept is nothing to link to"
    assert kept.spans == []
