"""The signals of a running service: SIGTERM and SIGINT drain it, SIGHUP has it read its policies again."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog

log = structlog.get_logger(__name__)

# What a shell reports for a process that a second signal ended.
EXIT_FORCED = 130


class ReloadRequests:
    """Requests to read files again. One that comes while the service starts is kept."""

    def __init__(self) -> None:
        self._has_come = False
        self._events: list[asyncio.Event] = []

    def event(self) -> asyncio.Event:
        """Return an event that each request sets; its owner clears it."""
        self._events.append(event := asyncio.Event())
        if self._has_come:
            event.set()
        return event

    def request(self) -> None:
        """Set every event."""
        self._has_come = True
        for event in self._events:
            event.set()


@contextmanager
def reloading_on_hangup() -> Iterator[ReloadRequests]:
    """Take SIGHUP as a request, unless a terminal that the process had is gone: then the process ends as by SIGTERM."""
    loop, requests, had_terminal = asyncio.get_running_loop(), ReloadRequests(), _has_terminal()

    def on_hangup() -> None:
        if had_terminal and not _has_terminal():
            signal.raise_signal(signal.SIGTERM)
            return
        log.info("service.reload_requested", signal="SIGHUP")
        requests.request()

    loop.add_signal_handler(signal.SIGHUP, on_hangup)
    try:
        yield requests
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _has_terminal() -> bool:
    """Return whether the process has a controlling terminal; one that was closed is none."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


@contextmanager
def draining_on_signals(drains: Sequence[Callable[[], None]]) -> Iterator[None]:
    """Drain on the first signal, exit on the second."""
    loop = asyncio.get_running_loop()
    asked = False

    def on_signal(number: signal.Signals) -> None:
        nonlocal asked
        if asked:
            log.warning("service.forced", signal=number.name)
            os._exit(EXIT_FORCED)  # no clean-up that could hang once more; what is uncommitted is read again
        asked = True
        log.info("service.draining", signal=number.name)
        for drain in drains:
            drain()

    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
