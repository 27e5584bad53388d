"""The window of records in flight."""

import asyncio

from service.delivery.window import Window
from service.settings.delivery import WindowSettings


def test_records_bound_the_window() -> None:
    window = Window(WindowSettings(max_records=1, max_waiting=1))
    window.admit(10)
    assert window.room == 1
    window.admit(10)
    assert window.room == 0
    window.release(10)
    assert window.room == 1


def test_a_poll_takes_little_more_than_there_are_slots_however_much_room_there_is() -> None:
    window = Window(WindowSettings(max_records=8, max_waiting=100))
    assert (window.room, window.poll) == (108, 10)
    for _ in range(105):
        window.admit(0)
    assert (window.room, window.poll) == (3, 3)


def test_half_of_the_bytes_are_for_events() -> None:
    window = Window(WindowSettings(max_records=8, max_waiting=4, max_bytes=200))
    window.admit(10)
    assert window.room == 11
    assert (window.records_share, window.bytes_share) == (1 / 12, 0.1)
    window.hold(190)
    assert window.room == 0
    assert window.bytes_share == 1.0, "no more than full"
    window.release(200)
    assert (window.room, window.held_bytes) == (12, 0)


def test_a_record_larger_than_the_window_is_admitted_alone() -> None:
    window = Window(WindowSettings(max_records=10, max_bytes=100))
    assert window.room > 0
    window.admit(1000)
    assert window.room == 0


async def test_who_waits_for_room_wakes_when_a_record_is_released() -> None:
    window = Window(WindowSettings(max_records=1, max_waiting=0))
    window.admit(0)
    waiting = asyncio.create_task(window.wait_for_room())
    await asyncio.sleep(0)
    assert not waiting.done()
    window.release(0)
    await waiting


async def test_a_full_window_takes_more_only_when_there_is_room_worth_a_poll() -> None:
    window = Window(WindowSettings(max_records=16, max_waiting=4))
    while window.takes_more:
        window.admit(0)
    assert window.room == 0
    window.release(0)
    assert (window.room, window.takes_more) == (1, False)
    window.release(0)
    assert (window.room, window.takes_more) == (2, True)
    window.admit(0)
    assert (window.room, window.takes_more) == (1, True)


async def test_a_release_that_leaves_too_many_bytes_wakes_no_waiter() -> None:
    window = Window(WindowSettings(max_records=10, max_bytes=200))
    window.admit(150)
    window.admit(5)
    waiting = asyncio.create_task(window.wait_for_room())
    window.release(5)
    await asyncio.sleep(0)
    assert not waiting.done()
    window.release(150)
    await waiting


async def test_an_interrupted_wait_ends_although_there_is_no_room() -> None:
    window = Window(WindowSettings(max_records=1, max_waiting=0))
    window.admit(0)
    window.interrupt()
    await window.wait_for_room()
