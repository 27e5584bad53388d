"""Causes of death of decoder processes, and which of them are the image's fault."""

import signal
from collections.abc import Sequence
from enum import Enum, auto

from service.core.errors import ModstreamError
from service.media.decode_protocol import OUT_OF_MEMORY_EXIT
from service.media.errors import DecodeCrashedError, DecodeMemoryError, DecodeOomKilledError, DecoderKilledError

# What a process does to itself by what it computes. SIGKILL is not among them: its own limits send other signals.
FAULT_SIGNALS = frozenset(
    -number
    for number in (
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGILL,
        signal.SIGFPE,
        signal.SIGABRT,
        signal.SIGTRAP,
        signal.SIGSYS,
        signal.SIGXFSZ,
    )
)


class Cause(Enum):
    """The cause of a decoder's death."""

    CRASHED = auto()
    """The process ended by a fault of its own, or its answer was malformed."""
    OUT_OF_MEMORY = auto()
    """It met its own limit."""
    KILLED = auto()
    """Another process killed it."""
    OOM_KILLED = auto()
    """The kernel's OOM killer ended it."""


class ProcessDiedError(Exception):
    """The decoder ended instead of answering, or gave an answer that no correct decoder gives."""

    def __init__(self, cause: Cause, *, detail: str) -> None:
        self.cause = cause
        self.detail = detail
        super().__init__(detail)


# The reason code that an image gets which this happens to twice.
REASONS = {
    Cause.CRASHED: DecodeCrashedError.reason,
    Cause.OUT_OF_MEMORY: DecodeMemoryError.reason,
    Cause.KILLED: DecoderKilledError.reason,
    Cause.OOM_KILLED: DecodeOomKilledError.reason,
}

_KILLS = frozenset({Cause.KILLED, Cause.OOM_KILLED})

# Once may be chance, or the fault of an earlier file.
_DEATHS_THAT_DECIDE = 2


def death_by(exit_code: int) -> ProcessDiedError:
    """Return the death that an exit code means, a signal's being negative; the OOM killer looks like any other kill."""
    if exit_code < 0:
        cause = Cause.CRASHED if exit_code in FAULT_SIGNALS else Cause.KILLED
        return ProcessDiedError(cause, detail=f"signal {-exit_code}")
    cause = Cause.OUT_OF_MEMORY if exit_code == OUT_OF_MEMORY_EXIT else Cause.CRASHED
    return ProcessDiedError(cause, detail=f"exit code {exit_code}")


def conclusion(deaths: Sequence[ProcessDiedError], *, memory_bytes: int) -> ModstreamError | None:
    """Return the error that one image's deaths mean, in their order; None if another attempt has to decide.

    A kill says nothing about the image, unless the OOM killer strikes twice: its second victim worked alone.
    """
    last = deaths[-1]
    kills = [death.cause for death in deaths if death.cause in _KILLS]
    if max(len(kills), len(deaths) - len(kills)) < _DEATHS_THAT_DECIDE:
        return None
    if last.cause is Cause.OUT_OF_MEMORY:
        return DecodeMemoryError(limit_bytes=memory_bytes)
    if last.cause is Cause.CRASHED:
        return DecodeCrashedError(detail=last.detail)
    if kills == [Cause.OOM_KILLED] * _DEATHS_THAT_DECIDE:
        return DecodeOomKilledError()
    return DecoderKilledError(detail=last.detail)
