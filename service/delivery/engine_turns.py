"""Turns in the engine: many records at the same time, or one alone."""

import asyncio
from collections import deque


class EngineTurns:
    """Grants turns.

    A record that is judged alone waits until the engine is empty, and no other record enters meanwhile.
    """

    def __init__(self) -> None:
        self._inside = 0
        self._is_used_alone = False
        self._alone: deque[asyncio.Future[None]] = deque()
        self._others: deque[asyncio.Future[None]] = deque()

    def share_at_once(self) -> bool:
        """Enter beside other records if there is nothing to wait for; return whether the record has entered."""
        if self._is_used_alone or self._alone:
            return False
        self._inside += 1
        return True

    async def share(self) -> None:
        """Wait until records may be in the engine together, and enter."""
        while not self.share_at_once():
            await self._turn(self._others)

    async def be_alone(self) -> None:
        """Wait until the engine is empty, and enter: no other record is inside until `leave`."""
        while self._inside:
            await self._turn(self._alone)
        self._inside, self._is_used_alone = 1, True

    def leave(self) -> None:
        """End a turn."""
        self._inside -= 1
        self._is_used_alone = False
        if self._alone or self._others:
            self._wake()

    def _wake(self) -> None:
        """Let the next one in that wants to be alone once the engine is empty; the others when there is none."""
        if self._alone:
            if not self._inside:
                _let_go(self._alone, 1)
        elif not self._is_used_alone:
            _let_go(self._others, len(self._others))

    async def _turn(self, queue: deque[asyncio.Future[None]]) -> None:
        """Return when it may be the turn of one that waits."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn in queue:
                queue.remove(turn)
            self._wake()  # the turn that this one was woken for is another's now
            raise


def _let_go(queue: deque[asyncio.Future[None]], count: int) -> None:
    while count and queue:
        turn = queue.popleft()
        if not turn.done():
            turn.set_result(None)
            count -= 1
