"""Memory for images: reserved before they arrive, and never waited for in vain."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.media.image_memory import ImageMemory, Reservation

MIB = 1024 * 1024


@pytest.fixture
def images() -> "Images":
    return Images(8 * MIB)


class Images:
    """Images that hold memory until the test ends them."""

    def __init__(self, limit_bytes: int) -> None:
        self.memory = ImageMemory(limit_bytes)
        self._open: dict[Reservation, ExitStack] = {}

    def new(self, tenant: str = "shop") -> Reservation:
        """Begin one."""
        stack = ExitStack()
        reservation = stack.enter_context(self.memory.reservation(tenant))
        self._open[reservation] = stack
        return reservation

    def end(self, reservation: Reservation) -> None:
        """End one."""
        self._open.pop(reservation).close()

    def end_all(self) -> None:
        """End them all."""
        for reservation in list(self._open):
            self.end(reservation)


@asynccontextmanager
async def waiting_for(*reservations: Reservation, size_bytes: int) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Let images grow, and cancel what still waits at the end."""
    tasks = [asyncio.create_task(reservation.grow(size_bytes)) for reservation in reservations]
    await settled()
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def settled() -> None:
    """Let everything happen that can happen now."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_image_reserves_in_steps_what_has_arrived_of_it_and_not_what_was_announced(images: Images) -> None:
    image = images.new()
    await image.grow(1)
    assert image.held_bytes == 512 * 1024
    await image.grow(600_000)
    assert image.held_bytes == MIB
    await image.grow(3 * MIB + 1)
    assert images.memory.held_bytes == image.held_bytes == 4 * MIB


async def test_what_was_reserved_too_much_is_free_when_the_image_is_complete(images: Images) -> None:
    image = images.new()
    await image.grow(3 * MIB + 1)
    image.arrived(3 * MIB + 1)
    assert images.memory.held_bytes == 3 * MIB + 1
    await image.add_pixels(1000)
    assert images.memory.held_bytes == 3 * MIB + 1001
    image.decoded(900)
    assert images.memory.held_bytes == 900, "the file is gone"
    images.end(image)
    assert images.memory.held_bytes == 0


async def test_what_an_image_keeps_until_it_is_decoded_is_left_once_then_or_at_its_end(images: Images) -> None:
    left: list[str] = []
    decoded, given_up = images.new(), images.new()
    decoded.arrived(1, when_decoding=lambda: left.append("decoding"))
    given_up.arrived(1, when_decoding=lambda: left.append("end"))
    await decoded.add_pixels(1)
    assert left == ["decoding"]
    images.end_all()
    assert left == ["decoding", "end"]


async def test_images_wait_for_memory_until_one_ends(images: Images) -> None:
    first, second = images.new("shop"), images.new("club")
    await first.grow(6 * MIB)
    first.arrived(6 * MIB)
    async with waiting_for(second, size_bytes=3 * MIB) as (waiting,):
        assert not waiting.done()
        images.end(first)
        await waiting


async def test_one_arriving_image_goes_beyond_the_limit_when_nothing_complete_will_free_memory(images: Images) -> None:
    partly = [images.new(f"tenant {number}") for number in range(4)]
    for image in partly:
        await image.grow(2 * MIB)
    async with waiting_for(*partly, size_bytes=20 * MIB) as tasks:
        assert [task.done() for task in tasks] == [True, False, False, False]
        assert images.memory.held_bytes == 6 * MIB + 20 * MIB
        partly[0].arrived(20 * MIB)
        await settled()
        assert [task.done() for task in tasks] == [True, False, False, False], "only when that one has ended"
        images.end(partly[0])
        await settled()
        assert sum(task.done() for task in tasks) == 2


async def test_an_image_that_is_larger_than_all_memory_is_judged_alone(images: Images) -> None:
    image = images.new()
    async with asyncio.timeout(1):
        await image.grow(20 * MIB)
        image.arrived(20 * MIB)
        await image.add_pixels(5 * MIB)
    images.end(image)
    assert images.memory.held_bytes == 0


async def test_pixels_wait_while_others_will_free_theirs_and_never_when_nothing_is_decoded(images: Images) -> None:
    first, second = images.new(), images.new()
    for image in (first, second):
        image.arrived(4 * MIB)
    async with asyncio.timeout(1):
        await first.add_pixels(MIB)
    waiting = asyncio.create_task(second.add_pixels(MIB))
    await settled()
    assert not waiting.done()
    images.end(first)
    await waiting


async def test_no_tenant_holds_all_of_it(images: Images) -> None:
    mine = [images.new("shop") for _ in range(8)]
    async with waiting_for(*mine, size_bytes=MIB) as tasks:
        assert sum(task.done() for task in tasks) == 7, "six within its share, one beyond"
        async with asyncio.timeout(1):
            await images.new("club").grow(MIB)


async def test_tenants_take_turns(images: Images) -> None:
    whole = images.new("whole")
    whole.arrived(8 * MIB)
    shop = [images.new("shop") for _ in range(20)]
    club = images.new("club")
    async with waiting_for(*shop, club, size_bytes=MIB) as tasks:
        whole.decoded(6 * MIB)
        await settled()
        assert tasks[-1].done()
        assert sum(task.done() for task in tasks) == 2


async def test_a_cancelled_wait_leaves_nothing_behind_and_blocks_no_other_wait(images: Images) -> None:
    whole, large, small = images.new("whole"), images.new("shop"), images.new("shop")
    whole.arrived(7 * MIB)
    async with waiting_for(large, size_bytes=4 * MIB) as (first,), waiting_for(small, size_bytes=1) as (second,):
        assert not second.done()
        first.cancel()
        await settled()
        images.end(large)
        await second
    images.end_all()
    assert images.memory.held_bytes == 0


class Life:
    """One image through all its states."""

    def __init__(self, memory: ImageMemory, tenant: str, size_bytes: int, fails_at: int) -> None:
        self._memory = memory
        self._tenant = tenant
        self._size = size_bytes
        self._fails_at = fails_at
        self.peak = 0

    async def run(self) -> None:
        """Arrive in pieces, be decoded, be judged; or fail on the way."""
        with self._memory.reservation(self._tenant) as held:
            for step, piece in enumerate(range(0, self._size, MIB // 2)):
                if step == self._fails_at:
                    return
                await held.grow(min(piece + MIB // 2, self._size))
                self.peak = max(self.peak, self._memory.held_bytes)
                await asyncio.sleep(0)
            held.arrived(self._size)
            await asyncio.sleep(0)
            await held.add_pixels(MIB)
            self.peak = max(self.peak, self._memory.held_bytes)
            held.decoded(MIB // 2)
            await asyncio.sleep(0)


@settings(max_examples=60, deadline=None)
@given(
    limit_mib=st.integers(1, 20),
    images=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 12 * MIB), st.integers(0, 40)), max_size=30),
)
def test_all_images_come_to_their_end_within_the_limit_and_one_image_beyond(
    limit_mib: int, images: list[tuple[str, int, int]]
) -> None:
    memory = ImageMemory(limit_mib * MIB)
    lives = [Life(memory, *image) for image in images]

    async def run() -> None:
        async with asyncio.timeout(10):
            await asyncio.gather(*(life.run() for life in lives))

    asyncio.run(run())
    assert memory.held_bytes == 0
    largest = max((size for _, size, _ in images), default=0)
    assert max((life.peak for life in lives), default=0) <= limit_mib * MIB + largest + 2 * MIB
