"""Pure: finished records in the order of their commits, and the parts that they are committed in."""

from collections.abc import Iterable, Sequence
from itertools import accumulate, takewhile
from typing import NamedTuple

from service.stream.records import OutgoingRecord


class Finished(NamedTuple):
    """A record whose outcomes are to be committed."""

    offset: int
    outcomes: Sequence[OutgoingRecord]
    published_bytes: int
    """Of the outcomes."""
    held_bytes: int
    """Of the outcomes and of the record itself, which is kept until the commit."""


def published(batch: Iterable[Finished]) -> int:
    """Return the bytes of all outcomes."""
    return sum(each.published_bytes for each in batch)


def within(batch: list[Finished], max_bytes: int) -> list[list[Finished]]:
    """Return those from the start on that take `max_bytes` together, one at least, and the rest if there is any."""
    totals = accumulate(each.published_bytes for each in batch)
    count = max(sum(1 for _ in takewhile(lambda total: total <= max_bytes, totals)), 1)
    return [part for part in (batch[:count], batch[count:]) if part]


def halves(batch: list[Finished]) -> list[list[Finished]]:
    """Return the two halves of a batch of several."""
    middle = len(batch) // 2
    return [batch[:middle], batch[middle:]]


def around(batch: list[Finished], refused: Iterable[OutgoingRecord]) -> list[list[Finished]]:
    """Return what stands before the refused outcomes, what holds them, and what stands behind; halves if all do.

    The order is kept, because outcomes of one key are published in it.
    """
    ids = {id(record) for record in refused}
    holders = [n for n, each in enumerate(batch) if any(id(record) in ids for record in each.outcomes)]
    first, last = (holders[0], holders[-1] + 1) if holders else (0, len(batch))
    if (first, last) == (0, len(batch)):
        return halves(batch)
    return [part for part in (batch[:first], batch[first:last], batch[last:]) if part]
