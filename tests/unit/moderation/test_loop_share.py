"""A task pauses in proportion to the time that it takes of the event loop."""

import pytest

from service.moderation.loop_share import SLICE_S, LoopShare


class Time:
    """A clock, and pauses that move it."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.pauses_s: list[float] = []

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        self.pauses_s.append(seconds)
        self.now_s += seconds


async def work(time: Time, share: LoopShare, *, units: int, unit_s: float) -> float:
    """Return the share of the time that was worked."""
    began_s = time.now_s
    share.begin()
    for _ in range(units):
        time.now_s += unit_s
        await share.rest()
    return units * unit_s / (time.now_s - began_s)


@pytest.mark.parametrize("unit_s", [SLICE_S / 20, SLICE_S, 30 * SLICE_S])
async def test_work_takes_its_share_and_no_more(unit_s: float) -> None:
    time = Time()
    share = LoopShare(0.02, clock=lambda: time.now_s, pause=time.pause)
    assert await work(time, share, units=1000, unit_s=unit_s) == pytest.approx(0.02, rel=0.03)


async def test_short_work_makes_no_pauses_of_its_own() -> None:
    time = Time()
    share = LoopShare(0.02, clock=lambda: time.now_s, pause=time.pause)
    await work(time, share, units=9, unit_s=SLICE_S / 10)
    assert time.pauses_s == []


async def test_what_is_charged_is_owed_as_work_is() -> None:
    time = Time()
    share = LoopShare(0.5, clock=lambda: time.now_s, pause=time.pause)
    share.charge(0.3)
    await work(time, share, units=1, unit_s=SLICE_S)
    assert time.pauses_s == [pytest.approx(0.3 + SLICE_S)]


async def test_waits_for_something_else_are_no_work() -> None:
    time = Time()
    share = LoopShare(0.02, clock=lambda: time.now_s, pause=time.pause)
    time.now_s += 60
    await work(time, share, units=1, unit_s=SLICE_S / 10)
    assert time.pauses_s == []
