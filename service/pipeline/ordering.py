"""Turns: records of one key one after the other, while those of other keys overtake."""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class KeyOrder(Generic[T]):
    """Knows the unfinished records of every key, oldest first."""

    def __init__(self) -> None:
        self._unfinished: dict[bytes, deque[T]] = {}

    def admit(self, key: bytes | None, item: T) -> bool:
        """Take note of a record in the order of its offsets; True when it may start now."""
        if key is None:
            return True
        items = self._unfinished.setdefault(key, deque())
        items.append(item)
        return len(items) == 1

    def finish(self, key: bytes | None, item: T) -> T | None:
        """Forget a record, finished or aborted; return the one that may start because of that."""
        items = None if key is None else self._unfinished.get(key)
        if key is None or items is None or item not in items:
            return None
        was_first = items[0] is item
        items.remove(item)
        if not items:
            del self._unfinished[key]
            return None
        return items[0] if was_first else None
