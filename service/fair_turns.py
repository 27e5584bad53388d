"""So many at a time, and those that wait get their turn by owner."""

import asyncio

from service.fair_queue import FairQueue


class FairTurns:
    """A semaphore in which a burst of one owner delays another owner by one turn."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue()

    @property
    def waiting(self) -> int:
        """How many wait, or have given up waiting since the last turn ended."""
        return len(self._queue)

    def try_acquire(self) -> bool:
        """Take a turn if one is free; then nobody waits for one."""
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
        """End a turn, and give it to the next in line."""
        while self._queue:
            turn = self._queue.pop()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
