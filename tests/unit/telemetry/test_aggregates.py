"""Counters and histograms: as OpenTelemetry's would have counted."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from service.telemetry import aggregates
from service.telemetry.aggregates import OVERFLOW, Counter, Histogram


def counter() -> Counter:
    started = Counter()
    started.is_on = True
    return started


def histogram(*boundaries: float) -> Histogram:
    started = Histogram(boundaries)
    started.is_on = True
    return started


def test_amounts_add_up_by_labels() -> None:
    fetched = counter()
    fetched.add(3, {"scheme": "https"})
    fetched.add(4, {"scheme": "https"})
    fetched.add(0, {"scheme": "s3"})
    assert fetched.sums() == {(("scheme", "https"),): 7, (("scheme", "s3"),): 0}


def test_a_value_lies_in_the_bucket_whose_bound_it_reaches() -> None:
    waits = histogram(1, 5)
    for value in (0, 1, 1.5, 5, 6):
        waits.record(value)
    assert waits.series()[()].counts == [2, 2, 1]
    assert waits.series()[()].total == 13.5


def test_nothing_is_counted_for_nobody() -> None:
    fetched, waits = Counter(), Histogram((1,))
    fetched.add(1)
    waits.record(1)
    assert (fetched.sums(), waits.series()) == ({}, {})


def test_a_label_without_bounds_ends_in_one_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregates, "MAX_SERIES", 3)
    fetched, waits = counter(), histogram(1)
    for number in range(10):
        fetched.add(1, {"host": str(number)})
        waits.record(0.5, {"host": str(number)})
    assert fetched.sums()[OVERFLOW] == 7
    assert sum(waits.series()[OVERFLOW].counts) == 7
    assert len(fetched.sums()) == len(waits.series()) == 4


@pytest.mark.parametrize(("sampler", "kept"), [(ALWAYS_ON, True), (ALWAYS_OFF, False)])
def test_the_newest_value_of_a_bucket_leads_to_its_trace_if_that_is_kept(sampler: Sampler, *, kept: bool) -> None:
    waits = histogram(1)
    tracer = TracerProvider(sampler, shutdown_on_exit=False).get_tracer("tests")
    waits.record(0.1)
    for value in (0.2, 0.3):
        with tracer.start_as_current_span("process") as span:
            waits.record(value)
    example = waits.series()[()].examples[0]
    assert (example is not None) == kept
    if example:
        assert (example.value, example.trace_id) == (0.3, span.get_span_context().trace_id)
