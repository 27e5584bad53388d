"""What leaves the process: to a scrape, to a collector, or nothing at all."""

import subprocess
import sys

from service.telemetry.instruments import COMMIT_DURATION, FETCH_IO
from testing.metrics import counting, scraped

LOADED = """
import sys
from service.settings.settings import Settings
from service.telemetry.metrics import build_metrics
import service.moderation.moderate
metrics = build_metrics(Settings().telemetry, scraped=False, version="1")
assert metrics.scrape() == b""
metrics.stop()
print(*(name for name in sys.modules if name.startswith(("opentelemetry.sdk", "prometheus_client"))))
"""


def test_without_a_reader_nothing_of_the_sdk_is_loaded() -> None:
    found = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_what_was_counted_before_there_was_a_reader_is_not_in_a_scrape() -> None:
    FETCH_IO.add(1, {"scheme": "https"})
    with counting() as metrics:
        assert scraped(metrics).of("modstream_fetch_io_bytes_total") == []


def test_a_scrape_has_what_was_counted_in_the_units_of_prometheus() -> None:
    with counting() as metrics:
        FETCH_IO.add(7, {"scheme": "https"})
        for duration_s in (0.02, 0.025, 99):
            COMMIT_DURATION.record(duration_s, {"result": "committed"})
        seen = scraped(metrics)
    assert seen.value("modstream_fetch_io_bytes_total", scheme="https") == 7
    assert seen.value("modstream_commit_duration_seconds_bucket", result="committed", le="0.01") == 0
    assert seen.value("modstream_commit_duration_seconds_bucket", result="committed", le="0.025") == 2
    assert seen.value("modstream_commit_duration_seconds_bucket", result="committed", le="+Inf") == 3
    assert seen.value("modstream_commit_duration_seconds_sum") == 0.02 + 0.025 + 99
    assert seen.value("process_resident_memory_bytes") > 0


def test_every_scrape_counts_on_from_the_one_before() -> None:
    with counting() as metrics:
        for expected in (1, 2):
            FETCH_IO.add(1, {"scheme": "s3"})
            assert scraped(metrics).value("modstream_fetch_io_bytes_total") == expected


def test_what_one_run_counted_is_not_in_the_next() -> None:
    with counting() as metrics:
        FETCH_IO.add(1)
    with counting() as metrics:
        assert scraped(metrics).of("modstream_fetch_io_bytes_total") == []


def test_a_label_without_bounds_ends_in_one_series() -> None:
    with counting() as metrics:
        for number in range(2100):
            FETCH_IO.add(1, {"scheme": str(number)})
        seen = scraped(metrics)
    assert len(seen.of("modstream_fetch_io_bytes_total")) <= 2001
    assert seen.value("modstream_fetch_io_bytes_total", otel_metric_overflow="true") >= 100
