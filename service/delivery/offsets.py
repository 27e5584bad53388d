"""Pure: which offsets of a partition are finished, as `(base, bitmap)` that fits into offset metadata.

The metadata also names the topic by its id: after a topic was deleted and made again, offsets of the old log would
seem to be offsets of the new one.

Only offsets that were delivered are tracked: transaction markers and compaction leave gaps in a partition, so an
offset that never comes must not be waited for.
"""

import base64
import binascii
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import chain

from service.kafka.errors import ProgressUnreadableError

MAX_SPAN = 24_000
"""Offsets a bitmap may cover: 3,001 bytes make 4,004 base64 characters, under the brokers' limit of 4,096."""

MAX_METADATA_CHARS = 4096
"""`offset.metadata.max.bytes` of brokers, a static setting, counted in characters."""

_BITMAP_ALONE = "ms1:"
"""Marks whose metadata it is and in which form, so that a later form can be distinguished."""

_WITH_TOPIC = "ms2:"
"""The form that begins with the topic's id: 22 characters and a colon, so that the longest takes 4,031."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Every offset below `base` is finished, and those above it whose bit is set: bit n stands for `base + n`."""

    base: int
    bitmap: int = 0
    topic_id: str | None = field(default=None, compare=False)
    """The topic whose offsets these are; None where that was not stored. Not compared: old forms lack it."""

    @property
    def end(self) -> int:
        """The offset behind the highest finished one."""
        return self.base + self.bitmap.bit_length()

    def is_finished(self, offset: int) -> bool:
        """Return whether an offset is finished."""
        return offset < self.base or bool(self.bitmap >> (offset - self.base) & 1)

    def raised(self, oldest: int) -> "Progress":
        """Return the progress of a partition whose log begins at an offset."""
        return self if oldest <= self.base else _shortest(oldest, self.bitmap >> (oldest - self.base), self.topic_id)

    def finishing(self, offset: int, last_offset: int) -> "Progress":
        """Return the progress with these offsets finished as well; none of them may be below the base."""
        if offset == self.base:
            return _shortest(last_offset + 1, self.bitmap >> (last_offset + 1 - self.base), self.topic_id)
        bits = _bits(self.base, frozenset(range(offset, last_offset + 1)))
        return Progress(self.base, self.bitmap | bits, self.topic_id)

    def unfinished_below(self, offset: int) -> int:
        """Return the number of unfinished offsets below an offset."""
        if offset <= self.base:
            return 0
        length = offset - self.base
        return length - (self.bitmap & ((1 << min(length, self.bitmap.bit_length())) - 1)).bit_count()

    def encode(self) -> str:
        """Return topic and bitmap as offset metadata, empty when there is neither."""
        raw = self.bitmap.to_bytes((self.bitmap.bit_length() + 7) // 8, "little")
        bits = base64.b64encode(raw).decode()
        if self.topic_id is not None:
            return f"{_WITH_TOPIC}{self.topic_id}:{bits}"
        return _BITMAP_ALONE + bits if bits else ""

    @classmethod
    def decode(cls, base: int, metadata: str) -> "Progress":
        """Read what `encode` wrote beside the offset; raises `ProgressUnreadableError` for anything else."""
        if not metadata:
            return cls(base)
        try:
            topic_id, bits = _parts(metadata)
            raw = base64.b64decode(bits, validate=True)
        except (binascii.Error, ValueError):
            raise ProgressUnreadableError(offset=base, metadata=metadata[:40]) from None
        return cls(base, int.from_bytes(raw, "little"), topic_id)


def _parts(metadata: str) -> tuple[str | None, str]:
    """Return topic and bitmap; raises `ValueError` when the form is unknown."""
    if metadata.startswith(_BITMAP_ALONE):
        return None, metadata.removeprefix(_BITMAP_ALONE)
    topic_id, colon, bits = metadata.removeprefix(_WITH_TOPIC).partition(":")
    if not metadata.startswith(_WITH_TOPIC) or not topic_id or not colon:
        raise ValueError(metadata)
    return topic_id, bits


class PartitionProgress:
    """Tracks one partition from its stored progress; changes only when a commit is known to have happened."""

    def __init__(self, stored: Progress) -> None:
        self._committed = stored
        self._next = stored.base
        self._delivered: deque[int] = deque()
        self._finished: set[int] = set()  # of _delivered, those that wait behind an unfinished one
        self._last: dict[int, int] = {}  # of _delivered, the last offset of those that stand for several

    @property
    def committed(self) -> Progress:
        """The progress that the broker has stored."""
        return self._committed

    @property
    def received(self) -> int:
        """The offset behind the newest delivered record."""
        return self._next

    @property
    def span(self) -> int:
        """Offsets from the oldest unfinished one to behind the newest delivered one."""
        return self._next - self._delivered[0] if self._delivered else 0

    @property
    def unfinished(self) -> int:
        """The number of delivered records that are not known to be committed."""
        return len(self._delivered) - len(self._finished)

    @property
    def is_ahead(self) -> bool:
        """Whether all delivered records are committed, and offsets without a record behind them are not."""
        return not self._delivered and self._next > self._committed.base

    def pass_to(self, position: int) -> None:
        """Record that every record below an offset was delivered; the other offsets are markers and gaps."""
        self._next = max(self._next, position)

    def fits(self, offset: int, max_span: int) -> bool:
        """Return whether delivering an offset keeps the bitmap within `max_span` offsets."""
        return not self._delivered or offset - self._delivered[0] <= max_span

    def deliver(self, offset: int, last_offset: int | None = None) -> bool:
        """Take note of a delivered offset; False when it was delivered before or is finished already.

        What is delivered may stand for all offsets up to `last_offset`; it is finished with the first of them.
        """
        if offset < self._next:
            return False
        self._next = offset + 1 if last_offset is None else last_offset + 1
        if self._committed.is_finished(offset):
            return False
        self._delivered.append(offset)
        if self._next > offset + 1:
            self._last[offset] = self._next - 1
        return True

    def first_passed_by(self, stored: Progress) -> int | None:
        """Return the first offset that a stored progress has finished although it is not finished here.

        None when there is none: then the stored progress is this one, or one that was planned here.
        """
        if stored == self._committed:
            return None
        open_here = (offset for offset in (*self._delivered, self._next) if offset not in self._finished)
        return next((o for o in open_here if stored.is_finished(o) and not self._committed.is_finished(o)), None)

    def plan(self, batch: Collection[int]) -> Progress:
        """Return the progress once these delivered offsets are finished as well; changes nothing."""
        batch = frozenset(batch)
        base = next((o for o in self._delivered if o not in batch and o not in self._finished), self._next)
        base = max(base, self._committed.base)  # which may have passed offsets that are yet to be delivered
        if self._last:
            batch |= self._spanned(base, batch)
        bitmap = self._committed.bitmap >> (base - self._committed.base) | _bits(base, batch)
        # What an earlier owner finished may lie right at the base.
        return _shortest(base, bitmap, self._committed.topic_id)

    def apply(self, plan: Progress, batch: Collection[int]) -> None:
        """Apply a plan that was committed, with the batch that it was made for."""
        self._committed = plan
        self._finished.update(batch)
        while self._delivered and self._delivered[0] in self._finished:
            offset = self._delivered.popleft()
            self._finished.remove(offset)
            self._last.pop(offset, None)

    def _spanned(self, base: int, batch: frozenset[int]) -> frozenset[int]:
        """Return the offsets from the base on that delivered ones stand for."""
        spans = (range(max(first, base), self._last[first] + 1) for first in batch & self._last.keys())
        return frozenset(chain.from_iterable(spans))


def _shortest(base: int, bitmap: int, topic_id: str | None) -> Progress:
    """Return the progress that begins behind what is finished right at its base."""
    passed = (~bitmap & (bitmap + 1)).bit_length() - 1
    return Progress(base + passed, bitmap >> passed, topic_id)


def _bits(base: int, offsets: frozenset[int]) -> int:
    """Return a bitmap of the offsets above the base; through bytes, because setting bits of a long int copies it."""
    above = [offset - base for offset in offsets if offset > base]
    if not above:
        return 0
    raw = bytearray(max(above) // 8 + 1)
    for bit in above:
        raw[bit >> 3] |= 1 << (bit & 7)
    return int.from_bytes(raw, "little")
