"""A flood of lines about records is cut short, and reported; nothing else is."""

import io
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import structlog

from service.settings.monitoring import TelemetrySettings
from service.telemetry.log_limit import LogLimit
from service.telemetry.logs import bind_record, configure_logging
from testing.metrics import counting, scraped
from testing.waiting import wait_until

log = structlog.get_logger("service.tests")

PER_S = 3
Line = dict[str, Any]


@pytest.fixture
def lines() -> Callable[[], list[Line]]:
    stream = io.StringIO()
    settings = TelemetrySettings(log_limit_per_s=PER_S)
    configure_logging(settings, stream=stream)
    return lambda: [orjson.loads(line) for line in stream.getvalue().splitlines()]


def flood(event: str, count: int) -> None:
    for offset in range(count):
        with bind_record(topic="images.uploaded", partition=0, offset=offset):
            log.warning(event)


def test_lines_of_an_event_are_limited_and_those_of_another_are_not(lines: Callable[[], list[Line]]) -> None:
    flood("record.dead_lettered", 10)
    flood("record.put_off", 2)
    assert [line["event"] for line in lines()] == ["record.dead_lettered"] * PER_S + ["record.put_off"] * 2


def test_errors_and_lines_about_no_record_are_always_written(lines: Callable[[], list[Line]]) -> None:
    for offset in range(10):
        log.warning("commit.unknown", partition="images.uploaded/0")
        with bind_record(topic="images.uploaded", partition=0, offset=offset):
            log.error("record.unexpected_error")
    assert len(lines()) == 20


async def test_what_was_held_back_is_reported_and_counted_once_its_second_is_over(
    lines: Callable[[], list[Line]],
) -> None:
    with counting() as metrics:
        with bind_record(topic="images.uploaded", partition=0, offset=0):
            flood("record.dead_lettered", 10)
        await wait_until(lambda: lines()[-1]["event"] == "log.dropped", description="the line that reports")
        counted = scraped(metrics).by("event", "modstream_log_dropped_total")
    reported = lines()[-1]
    assert (reported["event"], reported["line"], reported["count"], reported["level"]) == (
        "log.dropped", "record.dead_lettered", 7, "warning"
    )  # fmt: skip
    assert "offset" not in reported, "it is about none of the records"
    assert counted == {"record.dead_lettered": 7}


def test_without_an_event_loop_the_next_line_reports() -> None:
    now_s, dropped = [0.0], list[tuple[str, int]]()
    limit = LogLimit(1, on_dropped=lambda *reported: dropped.append(reported), clock=lambda: now_s[0])
    line = {"event": "record.put_off", "offset": 1}
    assert limit(None, "warning", dict(line)) == line
    for _ in range(4):
        with pytest.raises(structlog.DropEvent):
            limit(None, "warning", dict(line))
    now_s[0] = 1.0
    assert limit(None, "warning", dict(line)) == line
    assert dropped == [("record.put_off", 4)]
