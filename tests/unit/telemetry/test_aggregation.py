"""What counters and histograms keep, and when they keep nothing."""

import pytest

from service.telemetry.aggregation import Counter, Declaration, Histogram
from service.telemetry.record_trace import Arrival, RecordTracer
from testing.spans import KeptSpans

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(("flags", "kept"), [("01", 0.3), ("00", None)])
def test_the_newest_value_of_a_bucket_leads_to_its_trace_if_that_is_sampled(flags: str, kept: float | None) -> None:
    waits = Histogram(Declaration("histogram", "test.wait", "s", "Waits", (), boundaries=(1,)))
    waits.begin()
    uploader = (("traceparent", f"00-{TRACE_ID}-b7ad6b7169203331-{flags}".encode()),)
    tracer = RecordTracer(KeptSpans().sink(), group_id="group")
    with tracer.delivery(Arrival("images.uploaded", 0, 1, 0, uploader, 0.0)).attempt(1):
        for value in (0.2, 0.3):
            waits.record(value)
    waits.record(0.1)
    (exemplar, _) = waits.series()[()].exemplars
    assert (exemplar and exemplar[0]) == kept
    assert exemplar is None or exemplar[2].trace_id == int(TRACE_ID, 16)


def test_nothing_is_kept_where_nothing_reads() -> None:
    waits = Histogram(Declaration("histogram", "test.wait", "s", "Waits", (), boundaries=(1,)))
    counts = Counter(Declaration("counter", "test.count", "{event}", "Counts", ()))
    waits.record(0.1)
    counts.add(1)
    assert waits.series() == {}
    assert counts.totals() == {}
