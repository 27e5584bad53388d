"""Ends the process after a model failed by itself, in good order if possible."""

import os
import threading
from collections.abc import Callable

import structlog

from service.core.errors import EXIT_FATAL, FatalError

log = structlog.get_logger(__name__)

Listener = Callable[[FatalError], None]


class FailureRelay:
    """Passes on what an engine reports between requests, and bounds the time that the end may take.

    What made the model fail may keep its libraries from ending as well; a process that neither works nor ends would
    hold its partitions.
    """

    def __init__(self, *, grace_s: float, exit_now: Callable[[int], object] = os._exit) -> None:
        self._grace_s = grace_s
        self._exit_now = exit_now
        self._listener: Listener | None = None
        self._error: FatalError | None = None

    def report(self, error: FatalError) -> None:
        """Report a failure; the first one begins the end of the process."""
        if self._error is not None:
            return
        self._error = error
        log.error("engine.failed", error=error)
        self._force_later()
        if self._listener is not None:
            self._listener(error)

    def connect(self, listener: Listener) -> None:
        """Pass failures to a listener, including one that happened before."""
        self._listener = listener
        if self._error is not None:
            listener(self._error)

    def _force_later(self) -> None:
        timer = threading.Timer(self._grace_s, self._force)
        timer.daemon = True  # it must not be what keeps the process
        timer.start()

    def _force(self) -> None:
        log.critical("engine.end_forced", grace_s=self._grace_s)
        self._exit_now(EXIT_FATAL)  # no clean-up that could hang once more; what is uncommitted is read again
