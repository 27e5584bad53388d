"""Pure: the actions on a dead letter: send it back to its topic of origin, or discard it with a reason."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from service.core.headers import REDRIVEN_AT, REDRIVEN_FROM, REDRIVES, without_ours
from service.core.records import OutgoingRecord
from service.telemetry import names
from service.tools.dead_letters.dead_letter import StoredDeadLetter
from service.tools.dead_letters.journal import JournalEntry, State, mark_record


@dataclass(frozen=True, slots=True)
class Redrive:
    """Publishes the event to its topic of origin again, with the same key, value and uploader's headers."""

    uploads: str
    """The only topic that is published to: a header of a record must not choose another."""
    journal: str
    now: Callable[[], datetime]
    by: str = ""

    def refusal(self, dead_letter: StoredDeadLetter) -> str:
        """Return the reason why a dead letter cannot be sent back; empty if it can."""
        if dead_letter.raw:
            return f"its value is a {dead_letter.raw} in Kafka's format, which the service could not read, and no event"
        if dead_letter.truncated:
            return f"cut when it was written ({dead_letter.truncated}): only the uploader has the whole event"
        if dead_letter.origin is None:
            return "no header names its origin: not a dead letter of this service"
        if dead_letter.origin.topic != self.uploads:
            return f"came from {dead_letter.origin.topic}, and topics.uploads is {self.uploads}"
        return ""

    def records(self, dead_letter: StoredDeadLetter) -> tuple[OutgoingRecord, ...]:
        """Return the record to publish and the journal's record that it was sent."""
        record, now = dead_letter.record, self.now()
        mark = JournalEntry(State.REDRIVEN, now, self.by, "", record.timestamp_ms)
        sent = OutgoingRecord(self.uploads, record.key, record.value, _headers(dead_letter, now))
        return sent, mark_record(self.journal, dead_letter, mark)


@dataclass(frozen=True, slots=True)
class Discard:
    """Marks a dead letter as discarded; it stays in its topic until the brokers delete it."""

    why: str
    journal: str
    now: Callable[[], datetime]
    by: str = ""

    def refusal(self, _dead_letter: StoredDeadLetter) -> str:
        """Return an empty text: every dead letter can be discarded."""
        return ""

    def records(self, dead_letter: StoredDeadLetter) -> tuple[OutgoingRecord, ...]:
        """Return the journal's record that the dead letter is discarded."""
        mark = JournalEntry(State.DISCARDED, self.now(), self.by, self.why, dead_letter.record.timestamp_ms)
        return (mark_record(self.journal, dead_letter, mark),)


def _headers(dead_letter: StoredDeadLetter, now: datetime) -> tuple[tuple[str, bytes], ...]:
    record = dead_letter.record
    # The trace of the attempt that failed stays beside the uploader's, so that the next attempt can link to it.
    failed = tuple(header for header in record.headers if header[0] == names.TRACEPARENT)
    return (
        *without_ours(record.headers),
        *failed[-1:],
        (REDRIVEN_FROM, f"{record.topic}/{record.partition}/{record.offset}".encode()),
        (REDRIVEN_AT, now.isoformat(timespec="milliseconds").encode()),
        (REDRIVES, b"%d" % (dead_letter.redrives + 1)),
    )
