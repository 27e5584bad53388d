"""Pure: selects dead letters by the options of the commands."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase

from service.tools.dead_letters.dead_letter import StoredDeadLetter

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"(\d{1,6})([smhdw])")
_RANGE = re.compile(r"(\d{1,19})(?:(\.\.)(\d{1,19})?)?")

END = 2**63 - 1
"""No offset is larger."""


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """The conditions of a selection. All must hold; one that is empty or None holds for every dead letter."""

    reasons: tuple[str, ...] = ()
    """Codes, or patterns such as `image.*`; one must match."""
    since: datetime | None = None
    """Failed then or later."""
    until: datetime | None = None
    """Failed before then."""
    tenants: tuple[str, ...] = ()
    partitions: frozenset[int] = frozenset()
    """Of the dead letters' topic."""
    offsets: range | None = None
    """Of the dead letters' topic."""
    origin_partitions: frozenset[int] = frozenset()
    """Of the topic that the record was uploaded to."""
    origin_offsets: range | None = None
    fingerprint: str = ""
    """Its first characters are enough."""

    def matches(self, dead_letter: StoredDeadLetter) -> bool:
        """Return whether a dead letter matches; the most expensive conditions are checked last."""
        return (
            self._matches_place(dead_letter)
            and self._matches_time(dead_letter.failed_at)
            and (not self.reasons or any(fnmatchcase(dead_letter.reason, pattern) for pattern in self.reasons))
            and (not self.fingerprint or dead_letter.fingerprint.startswith(self.fingerprint))
            and (not self.tenants or dead_letter.tenant in self.tenants)
        )

    def _matches_time(self, failed_at: datetime) -> bool:
        return (self.since is None or failed_at >= self.since) and (self.until is None or failed_at < self.until)

    def _matches_place(self, dead_letter: StoredDeadLetter) -> bool:
        here, origin = dead_letter.record, dead_letter.origin
        if not _within(here.partition, here.offset, self.partitions, self.offsets):
            return False
        if origin is None:
            return not self.origin_partitions and self.origin_offsets is None
        return _within(origin.partition, origin.offset, self.origin_partitions, self.origin_offsets)


def _within(partition: int, offset: int, partitions: frozenset[int], offsets: range | None) -> bool:
    return (not partitions or partition in partitions) and (offsets is None or offset in offsets)


def parse_moment(text: str, now: datetime) -> datetime:
    """Read an ISO 8601 moment (UTC without a zone), or how long ago it was, such as 2h; raises `ValueError`."""
    if duration := _DURATION.fullmatch(text):
        return now - timedelta(seconds=int(duration[1]) * _UNITS_S[duration[2]])
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_offsets(text: str) -> range:
    """Read one offset (17), a range with both ends (17..42) or one without end (17..); raises `ValueError`."""
    found = _RANGE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    first = int(found[1])
    last = first if found[2] is None else END if found[3] is None else int(found[3])
    return range(first, last + 1)
