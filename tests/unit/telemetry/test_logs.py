"""Log lines: machine-readable, joined to records and traces, the same for libraries as for us."""

import asyncio
import importlib
import inspect
import io
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Literal

import orjson
import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider

from service.core.errors import FatalError, ModstreamError, UnexpectedError
from service.media.errors import ImageNotFoundError
from service.settings.monitoring import TelemetrySettings
from service.telemetry.logs import _CHATTER, bind_event, bind_record, configure_logging


class Terminal(io.StringIO):
    """A stream that people read."""

    def isatty(self) -> bool:
        return True


class EngineOnFireError(FatalError):
    reason = "engine.on_fire"
    message = "The engine burns"


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def lines(stream: io.StringIO) -> Callable[[], list[dict[str, Any]]]:
    configure_logging(TelemetrySettings(), stream=stream)
    return lambda: [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_away_from_a_terminal_a_line_is_json_with_utc_time(lines: Callable[[], list[dict[str, Any]]]) -> None:
    structlog.get_logger("service.app").info("service.started", engine="onnx")

    (line,) = lines()
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() == timedelta(0)
    assert line == {"event": "service.started", "engine": "onnx", "level": "info", "logger": "service.app"}


@pytest.mark.parametrize(
    ("log_format", "stream", "is_json"),
    [
        ("auto", Terminal(), False),
        ("auto", io.StringIO(), True),
        ("json", Terminal(), True),
        ("console", io.StringIO(), False),
    ],
)
def test_the_format_follows_the_setting_and_else_the_stream(
    log_format: Literal["auto", "json", "console"], stream: io.StringIO, *, is_json: bool
) -> None:
    configure_logging(TelemetrySettings(log_format=log_format), stream=stream)
    structlog.get_logger("service.app").info("service.started")
    assert stream.getvalue().startswith("{") == is_json
    assert "service.started" in stream.getvalue()


def test_a_record_is_named_in_every_line_beneath_it_and_in_none_after(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    log = structlog.get_logger("service.delivery")
    with bind_record(topic="images.uploaded", partition=3, offset=17):
        log.info("record.received")
        bind_event("42")
        log.info("image.fetched")
    log.info("service.idle")

    received, fetched, idle = lines()
    assert (received["topic"], received["partition"], received["offset"]) == ("images.uploaded", 3, 17)
    assert "event_id" not in received
    assert (fetched["offset"], fetched["event_id"]) == (17, "42")
    assert not {"topic", "partition", "offset", "event_id"} & set(idle)


async def test_records_under_way_at_once_keep_their_own_names(lines: Callable[[], list[dict[str, Any]]]) -> None:
    everyone_is_bound = asyncio.Barrier(3)

    async def handle(offset: int) -> None:
        with bind_record(topic="t", partition=0, offset=offset, event_id=f"event-{offset}"):
            await everyone_is_bound.wait()
            structlog.get_logger("service.delivery").info("record.finished")

    async with asyncio.TaskGroup() as group:
        for offset in range(3):
            group.create_task(handle(offset), name=f"handle-{offset}")

    assert {(line["offset"], line["event_id"]) for line in lines()} == {(n, f"event-{n}") for n in range(3)}


def test_a_line_within_a_span_leads_to_its_trace(lines: Callable[[], list[dict[str, Any]]]) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with tracer.start_as_current_span("fetch") as span:
        structlog.get_logger("service.media").info("image.fetched")
    structlog.get_logger("service.media").info("service.idle")

    within, outside = lines()
    context = span.get_span_context()
    assert within["trace_id"] == f"{context.trace_id:032x}"
    assert within["span_id"] == f"{context.span_id:016x}"
    assert "trace_id" not in outside


def test_libraries_log_through_the_same_renderer(lines: Callable[[], list[dict[str, Any]]]) -> None:
    with bind_record(topic="t", partition=0, offset=1):
        logging.getLogger("aiokafka.consumer").warning("lost %s at %s", b"secret", "https://h/secret?q=secret")

    (line,) = lines()
    assert line["event"] == "lost <bytes> at https://h/…"
    assert (line["logger"], line["level"], line["offset"]) == ("aiokafka.consumer", "warning", 1)


@pytest.mark.parametrize(
    ("error", "branch"),
    [
        (ImageNotFoundError(detail="HTTP 404"), "rejected"),
        (UnexpectedError(kind="KeyError", detail="x"), "transient"),
        (EngineOnFireError(), "fatal"),
    ],
)
def test_an_error_of_ours_gives_its_reason_and_what_to_do(
    lines: Callable[[], list[dict[str, Any]]], error: ModstreamError, branch: str
) -> None:
    structlog.get_logger("service.delivery").warning("record.failed", error=error, attempt=2)

    (line,) = lines()
    assert (line["error"], line["reason"], line["branch"]) == (str(error), error.reason, branch)


def test_a_traceback_is_structured_and_shows_no_local_variables(
    lines: Callable[[], list[dict[str, Any]]], stream: io.StringIO
) -> None:
    caption = "a caption that is secret"

    def defect() -> None:
        raise UnexpectedError(kind="KeyError", detail=f"{len(caption)}")

    try:
        defect()
    except UnexpectedError:
        structlog.get_logger("service.delivery").exception("record.crashed")

    (line,) = lines()
    assert line["reason"] == "internal.unexpected"
    (error,) = line["exception"]
    assert error["exc_type"] == "UnexpectedError"
    assert error["frames"][-1]["name"] == "defect"
    assert caption not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_secrets_leave_by_no_field_no_message_and_no_traceback(
    stream: io.StringIO, log_format: Literal["json", "console"]
) -> None:
    configure_logging(TelemetrySettings(log_format=log_format, log_level="debug"), stream=stream)
    log = structlog.get_logger("service.media")
    signed = "https://user:SECRET@h.example/SECRET.jpg?sig=SECRET#SECRET"
    log.info("image.fetched", url=signed, image=b"SECRET", nested={"urls": [signed]})
    log.debug(" ".join(["fetched", signed]))

    def defect() -> None:
        raise ValueError(b"SECRET") from OSError(f"cannot reach {signed}")

    try:
        defect()
    except ValueError as error:
        log.exception("image.fetch_failed", error=error)
        logging.getLogger("aiohttp.client").exception("failed: %s", signed)
        logging.getLogger("aiohttp.client").debug("SECRET")

    assert stream.getvalue().count("h.example") >= 4
    assert "SECRET" not in stream.getvalue()


def test_the_level_holds_for_us_and_keeps_libraries_at_info(stream: io.StringIO) -> None:
    configure_logging(TelemetrySettings(log_level="debug"), stream=stream)
    structlog.get_logger("service.app").debug("ours.debug")
    logging.getLogger("aiokafka").debug("theirs.debug")
    logging.getLogger("aiokafka").info("theirs.info")
    configure_logging(TelemetrySettings(log_level="error"), stream=stream)
    structlog.get_logger("service.app").warning("ours.warning")
    logging.getLogger("aiokafka").warning("theirs.warning")

    assert [orjson.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["ours.debug", "theirs.info"]


@pytest.mark.parametrize(("log_level", "shown"), [("info", []), ("debug", ["debug"])])
def test_what_a_library_gets_over_by_itself_is_debug(
    stream: io.StringIO, log_level: Literal["info", "debug"], shown: list[str]
) -> None:
    configure_logging(TelemetrySettings(log_level=log_level), stream=stream)
    logging.getLogger("aiokafka.consumer.group_coordinator").error("Group Coordinator Request failed: %s", "no leader")
    logging.getLogger("aiokafka.cluster").error("Topic %s not found in cluster metadata", "images.tags")
    assert [orjson.loads(line)["level"] for line in stream.getvalue().splitlines()] == shown * 2


def test_the_steps_of_a_rebalance_are_shown_at_debug_alone(lines: Callable[[], list[dict[str, Any]]]) -> None:
    logging.getLogger("aiokafka.consumer.group_coordinator").info("Joined group '%s'", "modstream")
    logging.getLogger("aiokafka.consumer.group_coordinator").warning("Heartbeat failed")
    assert [line["event"] for line in lines()] == ["Heartbeat failed"]


def test_other_errors_of_the_same_library_stay_errors(lines: Callable[[], list[dict[str, Any]]]) -> None:
    logging.getLogger("aiokafka.cluster").error("something else")
    assert [line["level"] for line in lines()] == ["error"]


def test_the_chatter_is_what_the_library_writes() -> None:
    for name, messages in _CHATTER.items():
        written_in = "opentelemetry.exporter.otlp.common.http" if "otlp" in name else name
        source = inspect.getsource(importlib.import_module(written_in))
        assert [message for message in messages if f'"{message}"' not in source] == []
        assert importlib.import_module(name)
