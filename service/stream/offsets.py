"""Pure: which offsets of a partition are finished, as `(base, bitmap)` that fits into offset metadata.

Only offsets that were delivered are tracked: transaction markers and compaction leave gaps in a partition, so an
offset that never comes must not be waited for.
"""

import base64
import binascii
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain

from service.stream.errors import ProgressUnreadableError

MAX_SPAN = 24_000
"""Offsets a bitmap may cover: 3,001 bytes make 4,004 base64 characters, under the brokers' limit of 4,096."""

MAX_METADATA_CHARS = 4096
"""`offset.metadata.max.bytes` of brokers, a static setting, counted in characters."""

_VERSION = "ms1:"
"""Marks whose metadata it is and in which form, so that a later form can be told apart."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Every offset below `base` is finished, and those above it whose bit is set: bit n stands for `base + n`."""

    base: int
    bitmap: int = 0

    def is_finished(self, offset: int) -> bool:
        """Tell whether an offset is done."""
        return offset < self.base or bool(self.bitmap >> (offset - self.base) & 1)

    def raised(self, oldest: int) -> "Progress":
        """Return the progress of a partition that holds nothing before an offset any more."""
        return self if oldest <= self.base else _shortest(oldest, self.bitmap >> (oldest - self.base))

    def finishing(self, offset: int, last_offset: int) -> "Progress":
        """Return the progress with these offsets finished as well, none of them below the base."""
        if offset == self.base:
            return _shortest(last_offset + 1, self.bitmap >> (last_offset + 1 - self.base))
        return Progress(self.base, self.bitmap | _bits(self.base, frozenset(range(offset, last_offset + 1))))

    def encode(self) -> str:
        """Return the bitmap as offset metadata, empty when nothing above the base is finished."""
        if not self.bitmap:
            return ""
        raw = self.bitmap.to_bytes((self.bitmap.bit_length() + 7) // 8, "little")
        return _VERSION + base64.b64encode(raw).decode()

    @classmethod
    def decode(cls, base: int, metadata: str) -> "Progress":
        """Read what `encode` wrote beside the offset; raises `ProgressUnreadableError` for anything else."""
        if not metadata:
            return cls(base)
        if not metadata.startswith(_VERSION):
            raise ProgressUnreadableError(offset=base, metadata=metadata[:40])
        try:
            raw = base64.b64decode(metadata.removeprefix(_VERSION), validate=True)
        except binascii.Error:
            raise ProgressUnreadableError(offset=base, metadata=metadata[:40]) from None
        return cls(base, int.from_bytes(raw, "little"))


class PartitionProgress:
    """Follows one partition from a stored progress on; changes only once a commit is known to have happened."""

    def __init__(self, stored: Progress) -> None:
        self._committed = stored
        self._next = stored.base
        self._delivered: deque[int] = deque()
        self._finished: set[int] = set()  # of _delivered, those that wait behind an unfinished one
        self._last: dict[int, int] = {}  # of _delivered, the last offset of those that stand for several

    @property
    def committed(self) -> Progress:
        """What the broker holds."""
        return self._committed

    @property
    def received(self) -> int:
        """The offset behind the newest that was delivered."""
        return self._next

    @property
    def span(self) -> int:
        """Offsets from the oldest unfinished one to behind the newest delivered one."""
        return self._next - self._delivered[0] if self._delivered else 0

    @property
    def unfinished(self) -> int:
        """How many delivered records are not known to be committed."""
        return len(self._delivered) - len(self._finished)

    @property
    def is_ahead(self) -> bool:
        """Whether all that was delivered is committed, and offsets that hold no record follow it uncommitted."""
        return not self._delivered and self._next > self._committed.base

    def pass_to(self, position: int) -> None:
        """Take note that every record below an offset was delivered; what is left there are markers and gaps."""
        self._next = max(self._next, position)

    def fits(self, offset: int, max_span: int) -> bool:
        """Tell whether delivering an offset keeps the bitmap within `max_span` offsets."""
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

    def plan(self, batch: Collection[int]) -> Progress:
        """Return the progress once these delivered offsets are finished as well; changes nothing."""
        batch = frozenset(batch)
        base = next((o for o in self._delivered if o not in batch and o not in self._finished), self._next)
        base = max(base, self._committed.base)  # which may have passed offsets that are yet to be delivered
        if self._last:
            batch |= self._spanned(base, batch)
        bitmap = self._committed.bitmap >> (base - self._committed.base) | _bits(base, batch)
        return _shortest(base, bitmap)  # what an earlier owner finished may lie right at the base

    def apply(self, plan: Progress, batch: Collection[int]) -> None:
        """Take over a plan that was committed, with the batch that it was made for."""
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


def _shortest(base: int, bitmap: int) -> Progress:
    """Return the progress that begins behind what is finished right at its base."""
    passed = (~bitmap & (bitmap + 1)).bit_length() - 1
    return Progress(base + passed, bitmap >> passed)


def _bits(base: int, offsets: frozenset[int]) -> int:
    """Return a bitmap of the offsets above the base; through bytes, because setting bits of a long int copies it."""
    above = [offset - base for offset in offsets if offset > base]
    if not above:
        return 0
    raw = bytearray(max(above) // 8 + 1)
    for bit in above:
        raw[bit >> 3] |= 1 << (bit & 7)
    return int.from_bytes(raw, "little")
