"""Drops log lines about records when there are too many of one event, and logs how many were dropped.

A flood says in its first lines all that there is to say, and writing the others costs what judging would need. Errors
are always written: each is a defect. So is what is about no record, as there are only few of those.
"""

import asyncio
import time
from collections.abc import Callable, MutableMapping
from contextvars import Context
from dataclasses import dataclass

import structlog
from structlog.typing import EventDict, WrappedLogger

from service.telemetry import labels
from service.telemetry.instruments import LOG_DROPPED

log = structlog.get_logger(__name__)

_ALWAYS = frozenset({"error", "critical", "exception"})
_WINDOW_S = 1.0

OnDropped = Callable[[str, int], None]
"""Called with an event and the number of its lines that were dropped."""


def count_dropped(event: str, count: int) -> None:
    """Count dropped log lines in the metrics."""
    LOG_DROPPED.add(count, {labels.EVENT: event})


@dataclass(slots=True)
class _Window:
    """One second of one event."""

    began_s: float
    written: int = 0
    dropped: int = 0


class LogLimit:
    """A structlog processor that limits the lines of an event in a second, and logs `log.dropped` for others."""

    def __init__(
        self, per_s: int, *, on_dropped: OnDropped = count_dropped, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s = per_s
        self._on_dropped = on_dropped
        self._clock = clock
        self._windows: MutableMapping[str, _Window] = {}

    def __call__(self, _logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
        """Let a line pass, or end it."""
        # Only what is said beneath `bind_record` has an offset.
        if method in _ALWAYS or "offset" not in line:
            return line
        window = self._window(str(line["event"]))
        if window.written < self._per_s:
            window.written += 1
            return line
        window.dropped += 1
        raise structlog.DropEvent

    def _window(self, event: str) -> _Window:
        now_s = self._clock()
        window = self._windows.get(event)
        if window is None or now_s - window.began_s >= _WINDOW_S:
            if window is not None:
                self._end(event, window)
            window = self._windows[event] = _Window(now_s)
            self._end_in_time(event, window)
        return window

    def _end(self, event: str, window: _Window) -> None:
        """Report what was dropped, if anything; a window ends once, by its time or by the next line."""
        if self._windows.get(event) is not window:
            return
        del self._windows[event]
        if window.dropped:
            self._on_dropped(event, window.dropped)
            # In an empty context, because the line is about none of the records.
            Context().run(_report, event, window.dropped)

    def _end_in_time(self, event: str, window: _Window) -> None:
        """End it also if no further line comes; outside of the event loop one has to come."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        loop.call_later(_WINDOW_S, self._end, event, window, context=Context())


def _report(event: str, count: int) -> None:
    log.warning("log.dropped", line=event, count=count)
