"""The way to the decoders, shared between tenants."""

import asyncio

from service.core.pixels import ImageSpec
from service.media.decode_queue import DecodeQueue
from service.media.image_memory import ImageMemory
from service.media.sandbox import UNCONFINED
from service.media.types import DecodedImage, FetchedImage
from testing.waiting import wait_until

SPEC = ImageSpec(max_pixels=100, multiple_of=1)


class Pool:
    """One decoder that takes as long as the test wants."""

    waiting = 0
    process_ids = frozenset({1})
    confinement = UNCONFINED

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ends: list[asyncio.Future[None]] = []

    async def decode(self, fetched: FetchedImage, _spec: ImageSpec) -> DecodedImage:
        """Note the image and wait."""
        self.begun.append(bytes(fetched.data).decode())
        end = asyncio.get_running_loop().create_future()
        self.ends.append(end)
        await end
        return DecodedImage("0" * 64, 1, 1, 1, "image/png", 1, ())


class World:
    """A queue, and images in it."""

    def __init__(self) -> None:
        self.pool = Pool()
        self.queue = DecodeQueue(self.pool)
        self.memory = ImageMemory(1_000_000)

    def decode(self, tenant: str, name: str) -> asyncio.Task[None]:
        """Put an image into the queue."""
        return asyncio.create_task(self._decode(tenant, name))

    async def _decode(self, tenant: str, name: str) -> None:
        with self.memory.reservation(tenant) as memory:
            await self.queue.decode(FetchedImage(name.encode()), SPEC, memory)

    async def next(self, count: int) -> None:
        """Let one decoding end, and wait until so many have begun."""
        next(end for end in self.pool.ends if not end.done()).set_result(None)
        await wait_until(lambda: len(self.pool.begun) == count, description=f"{count} have begun")


async def test_a_burst_of_one_tenant_delays_another_by_one_image() -> None:
    world = World()
    tasks = [world.decode("shop", f"shop {number}") for number in range(20)]
    tasks.append(world.decode("club", "club"))
    await wait_until(lambda: len(world.pool.begun) == 2, description="the decoder has one, and one ahead")
    assert world.queue.waiting == 19
    await world.next(3)
    await world.next(4)
    assert world.pool.begun == ["shop 0", "shop 1", "shop 2", "club"]
    while not all(task.done() for task in tasks):
        for end in world.pool.ends:
            if not end.done():
                end.set_result(None)
        await asyncio.sleep(0)
    assert world.memory.held_bytes == 0


async def test_a_cancelled_image_gives_its_turn_to_the_next() -> None:
    world = World()
    tasks = [world.decode("shop", str(number)) for number in range(4)]
    await wait_until(lambda: len(world.pool.begun) == 2, description="two have begun")
    tasks[2].cancel()
    await world.next(3)
    assert world.pool.begun == ["0", "1", "3"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert world.memory.held_bytes == 0
