"""Turns: records of one key one after the other, while those of other keys overtake."""

import asyncio


class KeyOrder:
    """Knows the last task of every key that has one."""

    def __init__(self) -> None:
        self._last: dict[bytes, asyncio.Task[None]] = {}

    def predecessor(self, key: bytes | None) -> asyncio.Task[None] | None:
        """Return the task that a new one of this key has to wait for; records without a key wait for nobody."""
        return None if key is None else self._last.get(key)

    def follow(self, key: bytes | None, task: asyncio.Task[None]) -> None:
        """Let the next task of this key wait for this one."""
        if key is None:
            return
        self._last[key] = task
        task.add_done_callback(lambda done: self._forget(key, done))

    def _forget(self, key: bytes, task: asyncio.Task[None]) -> None:
        if self._last.get(key) is task:
            del self._last[key]
