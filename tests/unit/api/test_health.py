"""The route of the service's state under many requests."""

import asyncio
from collections.abc import Mapping

import pytest

from service.api.health import KEPT_S, KeptHealth
from testing.clock import StillClock


class Service:
    def __init__(self) -> None:
        self.asked = 0

    def health(self) -> Mapping[str, object]:
        self.asked += 1
        if self.asked == 2:
            raise OSError("gone")
        return {"asked": self.asked}


async def test_a_flood_of_questions_reads_the_state_once_at_a_time() -> None:
    service, clock = Service(), StillClock()
    kept = KeptHealth(service.health, clock=clock)
    assert set(await asyncio.gather(*(kept.document() for _ in range(100)))) == {b'{"asked":1}'}
    clock.now_s += KEPT_S
    with pytest.raises(OSError, match="gone"):
        await kept.document()
    clock.now_s += KEPT_S
    assert await kept.document() == b'{"asked":3}'


async def test_one_who_leaves_ends_the_reading_for_no_other() -> None:
    kept = KeptHealth(Service().health, clock=StillClock())
    leaver, stayer = (asyncio.create_task(kept.document()) for _ in range(2))
    await asyncio.sleep(0)
    leaver.cancel()
    assert await stayer == b'{"asked":1}'
