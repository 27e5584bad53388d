"""Pure: waiting items grouped by their owner, taken from one owner after the other."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


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


class FairTurns:
    """A semaphore in which a burst of one owner delays another owner by one turn."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue()

    @property
    def waiting(self) -> int:
        """The number of waiting tasks, including those that were cancelled since the last turn ended."""
        return len(self._queue)

    def try_acquire(self) -> bool:
        """Take a turn if one is free now; return whether it was taken."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def acquire(self, owner: str) -> None:
        """Wait for a turn."""
        if self.try_acquire():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.push(owner, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it came in the same step of the event loop
                self.release()
            raise

    def release(self) -> None:
        """End a turn, and give it to the next waiting task."""
        while self._queue:
            turn = self._queue.pop()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
