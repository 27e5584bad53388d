"""What is declared, and what is written about it."""

import re
from collections import Counter
from pathlib import Path

from opentelemetry.metrics import Observation

from service.monitoring.reference import reference_markdown
from service.telemetry import aggregation, instruments, labels
from service.telemetry.aggregation import Declaration
from service.telemetry.instruments import declarations
from testing.metrics import counting, scraped

ROOT = Path(__file__).parents[3]

# Two of OpenTelemetry's are at home in UCUM, the rest is counted in things.
UNITS = re.compile(r"1|s|By|Cel|\{[a-z]+\}")
# What a record, an event or a machine is called by.
IDENTIFIERS = {"id", "image_id", "event_id", "trace_id", "span_id", "offset", "key", "url", "host", "address", "path"}


def test_every_instrument_is_declared_once_with_a_unit_and_what_it_reports() -> None:
    assert [name for name, count in Counter(each.name for each in declarations()).items() if count > 1] == []
    for declaration in declarations():
        assert declaration.name.startswith("modstream.")
        assert UNITS.fullmatch(declaration.unit), declaration
        assert declaration.description, declaration


def test_no_label_is_an_identifier() -> None:
    assert [each.name for each in declarations() if IDENTIFIERS & set(each.attributes)] == []


def test_buckets_are_in_order() -> None:
    for declaration in declarations():
        assert list(declaration.boundaries) == sorted(set(declaration.boundaries)), declaration.name
        assert bool(declaration.boundaries) == (declaration.kind == "histogram")


def test_service_levels_on_an_uploads_age_fall_on_a_bucket() -> None:
    (age,) = [each for each in declarations() if each.name == "modstream.upload.age"]
    assert {1, 2, 5, 10, 30, 60, 300, 600} <= set(age.boundaries)


def test_every_instrument_has_its_own_name_in_a_scrape() -> None:
    with counting() as metrics:
        for instrument in vars(instruments).values():
            match instrument:
                case aggregation.Counter():
                    instrument.add(0)
                case aggregation.Histogram():
                    instrument.record(0)
                case Declaration(name=name, unit=unit):
                    metrics.meter.create_observable_gauge(name, [lambda _: [Observation(0)]], unit)
        found = scraped(metrics).names
    expected = [each.prometheus_name + ("_count" if each.kind == "histogram" else "") for each in declarations()]
    assert set(expected) <= found
    assert len(set(expected)) == len(expected)


def test_histograms_have_labels_of_fixed_sets_alone() -> None:
    labelled = {label for each in declarations() if each.kind == "histogram" for label in each.attributes}
    assert labelled == {labels.STAGE, labels.OUTCOME, labels.RESULT, labels.ROUTE, labels.KIND}, (
        "nothing else bounds their series"
    )


def test_the_reference_is_up_to_date() -> None:
    written = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert written == reference_markdown(), (
        "write it anew: .venv/bin/python -m service.monitoring.reference > docs/metrics.md"
    )
