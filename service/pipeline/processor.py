"""The main loop: receive → admit → handle → hand over to the committer → finish."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from service.settings import Settings
from service.stream.records import OutgoingRecord, SourceRecord


@dataclass(frozen=True, slots=True)
class Job:
    """One record to handle, and which attempt this is, from 1."""

    record: SourceRecord
    attempt: int
    hold_bytes: Callable[[int], None]
    """Counts bytes that were fetched for the record into the window, until the record is finished."""


class Handler(Protocol):
    """Turns a record into what is published for it."""

    async def __call__(self, job: Job) -> tuple[OutgoingRecord, ...]:
        """Return the outcomes; raise `RejectedError`, `TransientError` or `FatalError` (all else is unexpected)."""
        ...


@dataclass(frozen=True, slots=True)
class Counters:
    """What the processor did since it started, and what it is doing."""

    in_flight: int
    finished: int
    dead_lettered: int


class Processor:
    """Runs a handler on every record of the uploads topic, each to exactly one committed outcome."""

    def __init__(self, settings: Settings, handler: Handler) -> None:
        self._settings = settings
        self._handler = handler

    async def run(self) -> None:
        """Process until `drain` was called and what was in flight is committed or `shutdown.drain_s` is over.

        Raises `FatalError` when the service cannot start or go on; nothing is lost then.
        """
        raise NotImplementedError

    def drain(self) -> None:
        """Stop taking records in and let `run` return once what is in flight is done; safe to call more than once."""
        raise NotImplementedError

    def counters(self) -> Counters:
        """Return a snapshot."""
        raise NotImplementedError
