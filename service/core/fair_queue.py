"""Waiting items grouped by their owner, and turns that are given to one owner after the other."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

T = TypeVar("T")

Side = Literal["stream", "api"]
"""What wants a turn: a record of the stream, or a request to the HTTP API."""

DEFAULT_API_SHARE = 0.25
"""Share of the turns for the API while both sides wait."""


class FairQueue(Generic[T]):
    """A queue in which a thousand items of one owner delay the first item of another by one item, not by a thousand."""

    def __init__(self) -> None:
        self._by_owner: OrderedDict[str, deque[T]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        """Return how many items wait."""
        return self._length

    @property
    def owners(self) -> list[str]:
        """Return the owners of waiting items, the next one first."""
        return list(self._by_owner)

    def count(self, owner: str) -> int:
        """Return the number of waiting items of an owner."""
        return len(self._by_owner.get(owner, ()))

    def peek(self, owner: str) -> T:
        """Return the next item of an owner that has one, without removing it."""
        return self._by_owner[owner][0]

    def push(self, owner: str, item: T, *, first: bool = False) -> None:
        """Add an item behind the others of its owner, or before them."""
        items = self._by_owner.get(owner)
        if items is None:
            items = self._by_owner[owner] = deque()
        if first:
            items.appendleft(item)
        else:
            items.append(item)
        self._length += 1

    def pop(self) -> T:
        """Return the next item; its owner's turn comes again after those of all others.

        Raises `StopIteration` when nothing waits.
        """
        return self.pop_of(next(iter(self._by_owner)))

    def pop_where(self, may_have: Callable[[str], bool]) -> T | None:
        """Remove and return the next item of the first owner that the predicate accepts; None if there is none."""
        owner = next((owner for owner in self._by_owner if may_have(owner)), None)
        return None if owner is None else self.pop_of(owner)

    def pop_of(self, owner: str) -> T:
        """Remove and return the next item of an owner that has one."""
        items = self._by_owner[owner]
        item = items.popleft()
        self._length -= 1
        if items:
            self._by_owner.move_to_end(owner)
        else:
            del self._by_owner[owner]
        return item


class _Line:
    """One side's waiting tasks, its share of the turns, and how far it has used that."""

    def __init__(self, share: float) -> None:
        self.share = share
        self.held = 0
        self.taken = 0.0
        """Turns taken so far, divided by the share: the side with less is next."""
        self.queue: FairQueue[asyncio.Future[None]] = FairQueue()

    def drop_cancelled(self) -> None:
        """Remove tasks that were cancelled while they were next."""
        while self.queue and self.queue.peek(self.queue.owners[0]).done():
            self.queue.pop()


class FairTurns:
    """A semaphore that the stream and the API share.

    A burst of one owner delays another owner of its side by one turn. While both sides wait, each gets its share of
    the turns; what one side does not use, the other may.
    """

    def __init__(self, count: int, *, api_share: float = DEFAULT_API_SHARE) -> None:
        self._free = count
        self._lines: dict[Side, _Line] = {"stream": _Line(1 - api_share), "api": _Line(api_share)}

    @property
    def waiting(self) -> int:
        """The number of waiting tasks, including those that were cancelled since the last turn ended."""
        return sum(len(line.queue) for line in self._lines.values())

    def try_acquire(self, side: Side = "stream") -> bool:
        """Take a turn if one is free now; return whether it was taken."""
        if not self._free:
            return False
        self._free -= 1
        self._forget_idle_time(side)
        self._take(side)
        return True

    async def acquire(self, owner: str, side: Side = "stream") -> None:
        """Wait for a turn."""
        if self.try_acquire(side):
            return
        self._forget_idle_time(side)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines[side].queue.push(owner, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it came in the same step of the event loop
                self.release(side)
            raise

    def release(self, side: Side = "stream") -> None:
        """End a turn, and give it to the next waiting task."""
        self._lines[side].held -= 1
        waiting = self._waiting_sides()
        if not waiting:
            self._free += 1
            return
        chosen = min(waiting, key=lambda each: self._lines[each].taken)
        self._take(chosen)
        self._lines[chosen].queue.pop().set_result(None)

    def _waiting_sides(self) -> list[Side]:
        for line in self._lines.values():
            line.drop_cancelled()
        return [side for side, line in self._lines.items() if line.queue]

    def _forget_idle_time(self, side: Side) -> None:
        """Drop a side's claim on the turns that it did not want while it was idle; those that still run count."""
        line = self._lines[side]
        if not line.held and not line.queue:
            ended = (other.taken - other.held / other.share for other in self._lines.values() if other is not line)
            line.taken = max(line.taken, *ended)

    def _take(self, side: Side) -> None:
        line = self._lines[side]
        line.held += 1
        line.taken += 1 / line.share
