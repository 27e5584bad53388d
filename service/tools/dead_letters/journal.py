"""Pure: the journal of the dead letters, a compacted topic with one record for each dead letter that is dealt with.

Why a topic and not the offsets of a group, as the stream has: a group without members forgets its offsets after
`offsets.retention.minutes` (7 days), and what is forgotten would be sent twice; a bitmap of offsets is limited in span,
which filters exceed at once; and a record says what was done, when, by whom and why.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import orjson

from service.core.errors import FatalError
from service.core.records import OutgoingRecord, SourceRecord
from service.tools.dead_letters.dead_letter import StoredDeadLetter

_KEY = re.compile(rb"(\d{1,10}):(\d{1,19})")


class JournalUnreadableError(FatalError):
    """The journal of the dead letters holds a record of another program or of a later version."""

    reason = "dead_letters.journal_unreadable"
    message = (
        "record {place} of {topic} is none of this version's: another program or a newer version writes there, so it "
        "is unknown which dead letters were sent back already"
    )


class State(StrEnum):
    """The state of a dead letter."""

    OPEN = "open"
    """Nothing yet."""
    REDRIVEN = "redriven"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """The journal's entry for a dead letter that was sent back or discarded."""

    state: State
    at: datetime
    by: str
    why: str
    letter_timestamp_ms: int
    """A topic that was deleted and made anew has other dead letters at the same offsets."""


def state_of(mark: JournalEntry | None) -> State:
    """Return the state of a dead letter by its journal entry, if it has one."""
    return mark.state if mark else State.OPEN


class Marks:
    """The entries of the journal."""

    def __init__(self, records: Iterable[SourceRecord] = ()) -> None:
        self._marks: dict[tuple[int, int], JournalEntry] = {}
        for record in records:
            place = _place(record)
            if record.value is None:
                self._marks.pop(place, None)
            else:
                self._marks[place] = _mark(record)

    def __len__(self) -> int:
        return len(self._marks)

    def of(self, dead_letter: StoredDeadLetter) -> JournalEntry | None:
        """Return the entry of a dead letter; None if it is open."""
        mark = self._marks.get((dead_letter.record.partition, dead_letter.record.offset))
        return mark if mark and mark.letter_timestamp_ms == dead_letter.record.timestamp_ms else None

    def outlived(self, journal: str, beginnings: Mapping[int, int]) -> list[OutgoingRecord]:
        """Return tombstones for entries whose dead letters are deleted, given the oldest offset of each partition."""
        gone = [place for place in self._marks if place[1] < beginnings.get(place[0], 0)]
        return [OutgoingRecord(journal, _key(*place), None, ()) for place in gone]


def mark_record(journal: str, dead_letter: StoredDeadLetter, mark: JournalEntry) -> OutgoingRecord:
    """Return the record of an entry; each dead letter has one key in the journal."""
    value = {
        "state": mark.state.value,
        "at": mark.at.isoformat(timespec="milliseconds"),
        "by": mark.by,
        "why": mark.why,
        "letter_timestamp_ms": mark.letter_timestamp_ms,
    }
    return OutgoingRecord(
        journal, _key(dead_letter.record.partition, dead_letter.record.offset), orjson.dumps(value), ()
    )


def _key(partition: int, offset: int) -> bytes:
    return b"%d:%d" % (partition, offset)


def _place(record: SourceRecord) -> tuple[int, int]:
    found = _KEY.fullmatch(record.key or b"")
    if found is None:
        raise _unreadable(record)
    return int(found[1]), int(found[2])


def _mark(record: SourceRecord) -> JournalEntry:
    try:
        value = orjson.loads(record.value or b"")
        return JournalEntry(
            state=State(value["state"]),
            at=datetime.fromisoformat(value["at"]),
            by=value["by"],
            why=value["why"],
            letter_timestamp_ms=value["letter_timestamp_ms"],
        )
    except (KeyError, TypeError, ValueError):
        raise _unreadable(record) from None


def _unreadable(record: SourceRecord) -> JournalUnreadableError:
    return JournalUnreadableError(place=f"{record.partition}:{record.offset}", topic=record.topic)
