"""Bounds what answers of web servers cost the event loop that also commits: a share of its time, in short turns.

A server decides how much work its bytes make: an interim answer of 18 bytes costs as much as an image. So bytes are
charged by their kind, at measured prices, and a connection whose turn comes too early waits, with its socket unread.
A clock would on a busy machine charge an answer for the time of other processes.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

# Half of the loop's time at most, or 500 MB a second. Ordinary images take a few hundredths of it.
SHARE = 0.5
# What may be spent at once before the first wait, and so about the longest delay that parsing causes others.
BURST_S = 0.005
# Of any byte: reading, parsing and joining it. Endless bodies on 128 connections took 1.0 to 1.5 ns for each.
BYTE_S = 1e-9
# Of a byte of a head, where headers of six bytes are the worst.
HEAD_BYTE_S = 0.1e-6
# Of a byte around chunks, where chunks of one byte are the worst: 4 µs for each of them.
FRAMING_BYTE_S = 0.7e-6
# The smallest wait: timers of event loops count milliseconds.
_WAIT_S = 0.001


class Waiting(Protocol):
    """A connection with bytes to parse."""

    def advance(self) -> None:
        """Parse one piece, and ask for another turn if more is there."""
        ...


class ParsingBudget:
    """A token bucket of seconds, shared by all connections, and the queue of those that wait for it."""

    def __init__(self, *, share: float = SHARE, clock: Callable[[], float] = time.perf_counter) -> None:
        """`share` is that of the loop's time; with 1 it only keeps turns short."""
        self._share = share
        self._clock = clock
        self._left_s = BURST_S
        self._filled_at_s = clock()
        self._is_filled = False
        """Whether it was filled in this turn of the loop."""
        self._queue: deque[Waiting] = deque()
        self._is_running = False
        """Whether those of the queue have their turn."""
        self._timer: asyncio.TimerHandle | None = None

    def is_open(self) -> bool:
        """Return whether another piece may be parsed in this turn of the event loop, and nothing waits before it."""
        return (self._is_running or not self._queue) and not self.is_spent()

    def is_spent(self) -> bool:
        """Return whether nothing more may be parsed in this turn of the event loop."""
        if not self._is_filled:
            self._fill()
        return self._left_s <= 0

    def _fill(self) -> None:
        """Add the share of the time since the last turn; in the same turn a busy machine's other processes add none."""
        now_s = self._clock()
        self._left_s = min(BURST_S, self._left_s + (now_s - self._filled_at_s) * self._share)
        self._filled_at_s = now_s
        self._is_filled = True
        asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._is_filled = False

    def charge(self, seconds: float) -> None:
        """Take from the budget what a piece cost."""
        self._left_s -= seconds

    def wait(self, connection: Waiting) -> None:
        """Let a connection advance when there is budget again, after those that wait already."""
        self._queue.append(connection)
        self._schedule()

    async def turn(self) -> None:
        """Return when there is budget, after those that wait already."""
        if not self.is_open():
            turn = _Turn()
            self.wait(turn)
            await turn.has_come.wait()

    def _schedule(self) -> None:
        if self._timer is None:
            delay_s = max(_WAIT_S, -self._left_s / self._share)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._run)

    def _run(self) -> None:
        self._timer = None
        self._is_running = True
        try:
            while self._queue and self.is_open():
                self._queue.popleft().advance()
        finally:  # a connection that raises does not stop the others
            self._is_running = False
            if self._queue:
                self._schedule()


class _Turn:
    """Waits in the queue for a coroutine."""

    def __init__(self) -> None:
        self.has_come = asyncio.Event()

    def advance(self) -> None:
        self.has_come.set()
