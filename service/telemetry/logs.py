"""Logs: dotted events with fields, JSON for machines and colours for people, libraries' own included.

Modules log by `structlog.get_logger(__name__)`; what is bound by `bind_record` stands in every line beneath it.
"""

import logging
import sys
from contextvars import ContextVar
from functools import partial
from typing import Protocol, TextIO

import orjson
import structlog
from opentelemetry.trace import format_span_id, format_trace_id, get_current_span
from structlog.typing import EventDict, Processor, WrappedLogger

from service.core.errors import FatalError, ModstreamError, RejectedError, TransientError
from service.settings.monitoring import TelemetrySettings
from service.telemetry.foreign_errors import scrub_exception
from service.telemetry.log_limit import LogLimit
from service.telemetry.redaction import redact

RECORD: ContextVar["Bound | None"] = ContextVar("modstream-record", default=None)
"""The record that a task works on; set by `bind_record` and by deliveries alone."""

_RETRIES = (
    "Transient error %s encountered while exporting %s batch, retrying in %.2fs.",
    "Failed to export %s batch code: %s, reason: %s",
    "Failed to export %s batch due to timeout, max retries or shutdown.",
    "Shutdown in progress, aborting retry.",
)

_CHATTER = {
    "aiokafka.cluster": ("Topic %s not found in cluster metadata",),
    "aiokafka.consumer.group_coordinator": ("Group Coordinator Request failed: %s",),
    # `collector_outage.py` reports these once, with the setting.
    "opentelemetry.exporter.otlp.proto.http.trace_exporter": _RETRIES,
    "opentelemetry.exporter.otlp.proto.http.metric_exporter": _RETRIES,
}
"""Logger → messages, at warning or error, that the library gets over by itself or that the service reports."""

_BRANCHES = {RejectedError: "rejected", TransientError: "transient", FatalError: "fatal"}


def configure_logging(settings: TelemetrySettings, *, stream: TextIO | None = None) -> None:
    """Send every log line of this process, including those of libraries, to the stream (standard error by default)."""
    stream = sys.stderr if stream is None else stream
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[
            add_record,
            LogLimit(settings.log_limit_per_s),
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # so that a second call, as tests make, reaches loggers already in use
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(settings, stream))
    handler.addFilter(partial(_lower_chatter, shown=level <= logging.DEBUG))
    root = logging.getLogger()
    root.handlers = [handler]
    # Below info libraries log what they send and receive, and that is payload.
    root.setLevel(max(level, logging.INFO))
    logging.getLogger("service").setLevel(level)
    # It logs each step of a rebalance, once a partition; the service logs the outcome itself.
    logging.getLogger("aiokafka").setLevel(logging.INFO if level <= logging.DEBUG else max(level, logging.WARNING))


def _lower_chatter(record: logging.LogRecord, *, shown: bool) -> bool:
    """Turn lines of libraries that no operator can act on into debug ones; a filter of the standard library."""
    if record.msg not in _CHATTER.get(record.name, ()):
        return True
    record.levelno, record.levelname = logging.DEBUG, "DEBUG"
    return shown


class Bound(Protocol):
    """The fields that identify a record in log lines."""

    event_id: str | None

    def facts(self) -> dict[str, object]:
        """Return topic, partition and offset of the record, and the event's id once it is known."""
        ...


class bind_record:  # noqa: N801 - reads as what it does; a generator would cost each record six times as much
    """Add the record's fields to every log line in the block, and in tasks that the block starts."""

    __slots__ = ("_offset", "_partition", "_token", "_topic", "event_id")

    def __init__(self, topic: str, partition: int, offset: int, event_id: str | None = None) -> None:
        self._topic = topic
        self._partition = partition
        self._offset = offset
        self.event_id = event_id

    def facts(self) -> dict[str, object]:
        """Return the fields that identify the record."""
        return record_facts(self._topic, self._partition, self._offset, self.event_id)

    def __enter__(self) -> None:
        self._token = RECORD.set(self)

    def __exit__(self, *_: object) -> None:
        RECORD.reset(self._token)


def record_facts(topic: str, partition: int, offset: int, event_id: str | None) -> dict[str, object]:
    """Return the fields that a line about a record has."""
    facts: dict[str, object] = {"topic": topic, "partition": partition, "offset": offset}
    return facts if event_id is None else facts | {"event_id": event_id}


def bind_event(event_id: str) -> None:
    """Add the event's id to the record's fields, once the record was read, until `bind_record` ends."""
    bound = RECORD.get()
    if bound is not None:
        bound.event_id = event_id


def add_record(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the record's fields; a structlog processor. Fields of the line itself take precedence."""
    return {**bound.facts(), **event} if (bound := RECORD.get()) else event


def _shared() -> list[Processor]:
    """What happens to our own and to libraries' events alike, before they are rendered."""
    return [
        add_record,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        _add_error_facts,
        _drop_foreign_words,
    ]


def _formatter(settings: TelemetrySettings, stream: TextIO) -> logging.Formatter:
    readable = settings.log_format == "console" or (settings.log_format == "auto" and stream.isatty())
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *(_for_people(colors=stream.isatty()) if readable else _for_machines()),
        ],
    )


def _for_people(*, colors: bool) -> list[Processor]:
    """Tracebacks become text before redaction, and plain: rich ones show local variables, images among them."""
    renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    return [structlog.processors.format_exc_info, redact, renderer]


def _for_machines() -> list[Processor]:
    """Tracebacks become fields, without local variables for the same reason."""
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
    return [structlog.processors.ExceptionRenderer(tracebacks), redact, _render_json]


def _render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return orjson.dumps(event).decode()


def _add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Name the current span, if any, so that a log line leads to its trace."""
    span = get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = format_trace_id(span.trace_id)
        event["span_id"] = format_span_id(span.span_id)
    return event


def _add_error_facts(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Turn an `error=` field into its message, and give the reason code and branch of ours, raised or named."""
    error = event.get("error")
    if isinstance(error, BaseException):
        event["error"] = str(error) if isinstance(error, ModstreamError) else f"{type(error).__qualname__}: {error}"
    else:
        error = _raised(event.get("exc_info"))
    if isinstance(error, ModstreamError):
        event.setdefault("reason", error.reason)
        event.setdefault("branch", next(name for kind, name in _BRANCHES.items() if isinstance(error, kind)))
    return event


def _drop_foreign_words(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Beneath a record, keep of others' exceptions the type and the frames: their words may be a caption's."""
    error = _raised(event.get("exc_info"))
    if error is not None and "offset" in event:
        event["exc_info"] = scrub_exception(error)
    return event


def _raised(exc_info: object) -> BaseException | None:
    """Find the exception in what logging calls `exc_info`: an exception, a triple, or a true value."""
    match exc_info:
        case BaseException() as error:
            return error
        case (_, BaseException() as error, _):
            return error
        case None | False:
            return None
        case _:
            return sys.exc_info()[1]
