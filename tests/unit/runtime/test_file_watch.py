"""New content of files is used once, when it has settled."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Self

import pytest
import structlog

from service.runtime import file_watch
from service.runtime.file_watch import FileWatch, watching
from testing.clock import StillClock
from testing.waiting import wait_until


@dataclass
class Disk:
    """What the next readings find; the last stays."""

    found: list[str]
    readings: int = 0

    def read(self) -> str:
        """Return what is there."""
        self.readings += 1
        return self.found.pop(0) if len(self.found) > 1 else self.found[0]


@dataclass(frozen=True)
class Text:
    """A file's content."""

    content: str
    disk: Disk = field(compare=False)

    def reread(self) -> Self:
        """Read the disk."""
        return type(self)(self.disk.read(), self.disk)


class Follower:
    """A watch and what it used."""

    def __init__(self, *found: str, every_s: float | None = 0.001, succeeds: Sequence[bool] = ()) -> None:
        self.disk = Disk([*found])
        self.used: list[str] = []
        self.requested = asyncio.Event()
        self.clock = StillClock()
        self._succeeds = [*succeeds]
        self.watch = FileWatch(
            Text("old", self.disk), self._use, every_s=every_s, requested=self.requested, clock=self.clock
        )

    async def _use(self, text: Text) -> bool:
        self.used.append(text.content)
        return self._succeeds.pop(0) if self._succeeds else True

    async def refresh(self, times: int) -> None:
        """Read some times."""
        for _ in range(times):
            await self.watch.refresh()

    def running(self) -> AbstractAsyncContextManager[None]:
        """Follow beside a block."""
        return watching(self.watch.watch, name="test-watch")


async def test_new_content_is_used_once() -> None:
    follower = Follower("new")
    await follower.refresh(10)
    assert follower.used == ["new"]


async def test_content_that_is_the_same_is_not_used() -> None:
    follower = Follower("old")
    await follower.refresh(10)
    assert follower.used == []


async def test_content_is_not_used_while_it_is_being_written() -> None:
    follower = Follower("", "ne", "new")
    await follower.refresh(3)
    assert follower.used == []
    await follower.refresh(1)
    assert follower.used == ["new"]


async def test_content_that_came_back_before_it_settled_changes_nothing() -> None:
    follower = Follower("", "old")
    await follower.refresh(5)
    assert follower.used == []


async def test_content_that_failed_for_another_reason_is_used_again_after_a_minute() -> None:
    follower = Follower("new", succeeds=[False, False, True])
    await follower.refresh(5)
    assert follower.used == ["new"]
    for expected in (2, 3, 3):
        follower.clock.now_s += 60.0
        await follower.refresh(5)
        assert follower.used == ["new"] * expected


async def test_a_request_uses_what_is_there_even_if_it_is_the_same() -> None:
    follower = Follower("old", every_s=None)
    async with follower.running():
        follower.requested.set()
        await wait_until(lambda: follower.used == ["old"], description="the request is served")
    assert not follower.requested.is_set()


async def test_a_request_waits_until_two_readings_are_the_same() -> None:
    follower = Follower("a", "b", "c", "c", every_s=None)
    async with follower.running():
        follower.requested.set()
        await wait_until(lambda: bool(follower.used), description="the request is served")
    assert follower.used == ["c"]


async def test_a_request_is_served_although_the_files_never_settle() -> None:
    follower = Follower(*(str(number) for number in range(1000)), every_s=None)
    async with follower.running():
        follower.requested.set()
        await wait_until(lambda: bool(follower.used), description="the request is served")
    assert len(follower.used) == 1


async def test_without_an_interval_the_files_are_not_read() -> None:
    follower = Follower("new", every_s=None)
    async with follower.running():
        for _ in range(100):
            await asyncio.sleep(0)
    assert follower.disk.readings == 0


async def test_files_are_followed_until_the_block_ends() -> None:
    follower = Follower("new")
    async with follower.running():
        await wait_until(lambda: follower.used == ["new"], description="the new content is used")
        follower.disk.found = ["newer"]
        await wait_until(lambda: follower.used == ["new", "newer"], description="the newer content is used")
    readings = follower.disk.readings
    await asyncio.sleep(0)
    assert follower.disk.readings == readings


async def test_a_defect_is_logged_and_the_watch_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_watch, "_PAUSE_S", 0.0)
    begun = 0

    async def watch() -> None:
        nonlocal begun
        begun += 1
        raise ZeroDivisionError

    with structlog.testing.capture_logs() as events:
        async with watching(watch, name="test-watch"):
            await wait_until(lambda: begun > 2, description="the watch begins again")
    assert {(event["event"], event["watch"], event["log_level"]) for event in events} == {
        ("watch.failed", "test-watch", "error")
    }
