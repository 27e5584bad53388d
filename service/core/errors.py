"""Errors say what the caller should do: rejected → dead letter, transient → attempt again, fatal → exit uncommitted.

Every error has a stable reason code that dead letters, metrics and documents share. Raise the most specific class
with facts as keyword arguments, never with a finished sentence: `ImageTooLarge(size_bytes=..., limit_bytes=...)`.
The classes of one stage stand beside that stage; the three branches and what several stages raise stand here.
"""

from typing import ClassVar, Literal

Blame = Literal["record", "uploader", "service"]
"""Who can bring a failure about: the record alone, so that it says nothing about the service; an uploader at will, as
well as a fault of ours; or nothing that an event chooses."""

EXIT_FATAL = 3
"""The exit code after a `FatalError`: nothing is lost, so the process can be started again."""


class ModstreamError(Exception):
    """Base of every error with a reason code; `message` formats the facts given by keyword.

    Facts never hold image bytes, captions, credentials or full URLs: they are logged and published.
    """

    reason: ClassVar[str]
    message: ClassVar[str]
    blame: ClassVar[Blame] = "service"
    """How its dead letters count towards the limit that stops the service."""

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        super().__init__(self.message.format_map(facts))

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the facts, so that errors cross process borders."""
        return _rebuild, (type(self), self.facts)


def _rebuild(kind: type[ModstreamError], facts: dict[str, object]) -> ModstreamError:
    return kind(**facts)


class RejectedError(ModstreamError):
    """The record itself is at fault: no further attempt can help; it becomes a dead letter at once."""

    blame: ClassVar[Blame] = "record"


class TransientError(ModstreamError):
    """A fault outside of the record and the service: attempt again, then dead letter."""

    @property
    def retry_after_s(self) -> float:
        """Seconds before which another attempt is known to fail; 0 if nothing is known."""
        return 0.0

    @property
    def may_wait_here(self) -> bool:
        """Whether the record may wait for its next attempt in this process, where it takes room in the window."""
        return True


class FatalError(ModstreamError):
    """The service cannot continue: exit without a commit, so that nothing is lost."""


class UnexpectedError(TransientError):
    """A defect of the service affected this record; another attempt may succeed."""

    reason = "internal.unexpected"
    message = "Unexpected {kind}: {detail}"
    blame = "uploader"  # an uploader who knows the defect can trigger it at will


class UnexpectedEndError(FatalError):
    """A defect outside of any record ended the service; uncommitted records are read again."""

    reason = "service.unexpected"
    message = "{kind}, which nothing in the service expected; its traceback stands beside this"


class EnginePoisonError(RejectedError):
    """The engine, or its servers, stopped working each time that the record was alone in it."""

    reason = "engine.poison"
    blame = "uploader"
    message = "The engine stopped working again and again with this record alone in it: {detail}"


class EngineDeadError(FatalError):
    """The engine died or hangs; the process exits and must be restarted."""

    reason = "engine.dead"
    message = "The engine died: {detail}"
