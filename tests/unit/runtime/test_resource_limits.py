import asyncio
from collections.abc import Callable

import pytest

from service.core.errors import FatalError
from service.runtime.resource_limits import LimitGuard


class TooMuchError(FatalError):
    """A limit of these tests is exceeded."""

    reason = "test.too_much"
    message = "{held} is too much"


class Load:
    """Holds what it is told, one look after the other; more than 10 is too much."""

    def __init__(self, *held: int) -> None:
        self._held = list(held)
        self.slept_s: list[float] = []

    def limit(self) -> FatalError | None:
        held = self._held.pop(0)
        return TooMuchError(held=held) if held > 10 else None

    async def sleep(self, delay_s: float) -> None:
        self.slept_s.append(delay_s)

    def guard(self, *others: Callable[[], FatalError | None]) -> LimitGuard:
        return LimitGuard([*others, self.limit], sleep=self.sleep)


async def test_what_exceeds_a_limit_asks_for_a_drain_once() -> None:
    load, drains = Load(1, 10, 11), []
    await load.guard().watch(lambda: drains.append("drain"))
    assert drains == ["drain"]
    assert len(load.slept_s) == 2


async def test_the_drain_ends_in_the_limits_own_error() -> None:
    guard = Load(11).guard(lambda: None)
    guard.check()
    await guard.watch(lambda: None)
    with pytest.raises(TooMuchError, match="11 is too much"):
        guard.check()


async def test_without_limits_there_is_no_drain() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await LimitGuard([]).watch(lambda: pytest.fail("drained"))
