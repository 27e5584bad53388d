"""A collector that does not answer: one log line when it goes away, one from time to time, one when it is back.

The exporters of OpenTelemetry log each retry of each batch; `logs.py` lowers those lines to debug.
"""

import logging
import time
from collections.abc import Callable
from typing import Literal, Protocol

import structlog

from service.settings.problems import without_credentials

log = structlog.get_logger(__name__)

Signal = Literal["traces", "metrics"]

REMINDER_S = 300.0
"""Seconds between two lines while the collector stays away."""

_EFFECTS: dict[Signal, str] = {
    "traces": "records are judged as before; spans are lost until the collector answers",
    "metrics": "records are judged as before; the collector gets the totals later, without the values in between",
}


class Sent(Protocol):
    """What came of one batch."""

    @property
    def success(self) -> bool:
        """Whether the collector took it."""
        ...

    @property
    def status_code(self) -> int | None:
        """The collector's HTTP status; None without an answer."""
        ...

    @property
    def reason(self) -> str | None:
        """The collector's words for it."""
        ...

    @property
    def error(self) -> Exception | None:
        """Why there is no answer."""
        ...


class Client(Protocol):
    """Sends batches, as the client inside OpenTelemetry's exporters does."""

    def export(self, data: bytes) -> Sent:
        """Send an encoded batch, with retries."""
        ...

    def shutdown(self) -> None:
        """End a wait between two retries, and close connections."""
        ...


class CollectorOutage:
    """Logs when the collector goes away and comes back; used by the one thread that sends a signal."""

    def __init__(self, signal: Signal, url: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._signal = signal
        self._url = without_credentials(url)
        self._clock = clock
        self._failed = 0
        self._lost_at_s = 0.0
        self._logged_at_s = 0.0

    def take_note(self, sent: Sent) -> None:
        """Log what changed with this batch, if anything."""
        now_s = self._clock()
        if sent.success:
            self._end(now_s)
            return
        if self._failed == 0:
            self._lost_at_s = now_s
        self._failed += 1
        if self._failed == 1 or now_s - self._logged_at_s >= REMINDER_S:
            self._logged_at_s = now_s
            self._warn(sent, now_s)

    def leaves_open(self, _line: logging.LogRecord) -> bool:
        """Return whether a library's line says something new: not while the collector is away."""
        return self._failed == 0

    def _warn(self, sent: Sent, now_s: float) -> None:
        log.warning(
            "telemetry.export_failing",
            signal=self._signal,
            setting="telemetry.otlp_endpoint",
            url=self._url,
            detail=_in_words(sent),
            failed=self._failed,
            for_s=round(now_s - self._lost_at_s, 1),
            effect=_EFFECTS[self._signal],
        )

    def _end(self, now_s: float) -> None:
        if self._failed == 0:
            return
        log.info(
            "telemetry.export_resumed",
            signal=self._signal,
            url=self._url,
            failed=self._failed,
            after_s=round(now_s - self._lost_at_s, 1),
        )
        self._failed = 0


class WatchedClient:
    """The client of an exporter, whose results an outage takes note of."""

    def __init__(self, client: Client, outage: CollectorOutage) -> None:
        self._client = client
        self._outage = outage

    def export(self, data: bytes) -> Sent:
        """Send an encoded batch."""
        sent = self._client.export(data)
        self._outage.take_note(sent)
        return sent

    def shutdown(self) -> None:
        """End the client."""
        self._client.shutdown()


def _in_words(sent: Sent) -> str:
    """Return why a batch was not taken: the status, or the first cause, whose wrappers repeat the whole address."""
    if sent.status_code is not None:
        return f"the collector answered {sent.status_code} {sent.reason or ''}".rstrip()
    error: BaseException | None = sent.error
    while error is not None and (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return "the service ends" if error is None else f"{type(error).__name__}: {error}"
