"""How long the event loop is kept from its other work."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from service.runtime.memory import tune_gc


class LagMeter:
    """Measures how long the loop's thread works in one turn; the time of other threads and processes does not count."""

    def __init__(self) -> None:
        self.worst_s = 0.0

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Measure until the block ends."""
        task = asyncio.create_task(self.watch(), name="lag")
        try:
            yield
        finally:
            task.cancel()

    async def watch(self) -> None:
        """Measure until cancelled."""
        while True:
            since_s = time.thread_time()
            await asyncio.sleep(0)
            self.worst_s = max(self.worst_s, time.thread_time() - since_s)


@contextmanager
def garbage_as_in_the_service() -> Iterator[None]:
    """Look for garbage as the service does: all that other tests' libraries hold takes half a second, in any turn."""
    threshold = gc.get_threshold()
    tune_gc()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*threshold)
