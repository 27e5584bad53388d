import asyncio

import pytest

from service import memory_guard
from service.memory_guard import MemoryGuard, MemoryLimitError, MemoryNotMeasurableError, own_memory_bytes

LIMIT = 1000


class Memory:
    """Holds what it is told, one look after the other."""

    def __init__(self, *held_bytes: int) -> None:
        self._held_bytes = list(held_bytes)
        self.slept_s: list[float] = []

    def measure(self) -> int:
        return self._held_bytes.pop(0)

    async def sleep(self, delay_s: float) -> None:
        self.slept_s.append(delay_s)

    def guard(self) -> MemoryGuard:
        return MemoryGuard(limit_bytes=LIMIT, setting="limit", measure=self.measure, sleep=self.sleep)


async def test_memory_above_the_limit_asks_for_a_drain_once() -> None:
    memory, drains = Memory(10, LIMIT, LIMIT + 1), []
    await memory.guard().watch(lambda: drains.append("drain"))
    assert drains == ["drain"]
    assert len(memory.slept_s) == 2


async def test_the_drain_ends_in_an_error_that_says_how_much_was_held() -> None:
    guard = Memory(LIMIT + 1).guard()
    guard.check()
    await guard.watch(lambda: None)
    with pytest.raises(MemoryLimitError, match="hold 1001 bytes of memory; the limit is 1000"):
        guard.check()


async def test_without_a_limit_nothing_is_measured() -> None:
    guard = MemoryGuard(limit_bytes=0, setting="limit", measure=lambda: pytest.fail("measured"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await guard.watch(lambda: pytest.fail("drained"))


def test_a_limit_that_cannot_be_kept_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_guard, "can_be_listed", lambda: False)
    with pytest.raises(MemoryNotMeasurableError, match=r"engine\.max_memory_bytes"):
        MemoryGuard(limit_bytes=LIMIT, setting="engine.max_memory_bytes")
    MemoryGuard(limit_bytes=0, setting="engine.max_memory_bytes")


def test_this_process_holds_memory() -> None:
    assert own_memory_bytes() > 10_000_000
