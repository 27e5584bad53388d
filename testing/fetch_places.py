"""Places for fetches, with fetches that end when a test says so, by a clock that it sets."""

import asyncio

import pytest

from service.core.errors import ModstreamError
from service.media.errors import FetchFailedError
from service.media.fetch.places import FetchPlaces

DOWN = FetchFailedError(detail="down")


class World:
    """Fetches that end when the test says so, by a clock that it sets."""

    def __init__(self, count: int) -> None:
        self.now_s = 0.0
        self.places = FetchPlaces(count, now_s=lambda: self.now_s)
        self.under_way: list[tuple[str, str]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._ends: dict[tuple[str, str], list[asyncio.Future[None]]] = {}

    def begin(self, tenant: str, host: str, count: int = 1) -> list[asyncio.Task[None]]:
        """Begin fetches."""
        begun = [asyncio.create_task(self._fetch(tenant, host)) for _ in range(count)]
        self.tasks += begun
        return begun

    async def _fetch(self, tenant: str, host: str) -> None:
        async with self.places.place(tenant, host):
            end = asyncio.get_running_loop().create_future()
            self._ends.setdefault((tenant, host), []).append(end)
            self.under_way.append((tenant, host))
            try:
                await end
            finally:
                self.under_way.remove((tenant, host))

    def end(self, tenant: str, host: str, error: ModstreamError | None = None) -> None:
        """End the oldest fetch of these."""
        ends = self._ends[tenant, host]
        end = next(end for end in ends if not end.done())
        if error:
            end.set_exception(error)
        else:
            end.set_result(None)

    async def settled(self) -> None:
        """Let everything happen that can happen now."""
        for _ in range(10):
            await asyncio.sleep(0)

    async def known(self, host: str, successes: int = 5) -> None:
        """Let a host answer each tenant a few times."""
        for tenant in ("shop", "club") * successes:
            self.begin(tenant, host)
            await self.settled()
            self.end(tenant, host)
            await self.settled()

    async def fails(self, host: str, times: int = 1, *, tenant: str = "shop") -> None:
        """Let fetches from a host fail one after the other."""
        for _ in range(times):
            (task,) = self.begin(tenant, host)
            await self.settled()
            self.end(tenant, host, DOWN)
            with pytest.raises(FetchFailedError):
                await task

    def of(self, tenant: str | None = None, host: str | None = None) -> int:
        """Count the fetches under way of a tenant or a host."""
        return sum(tenant in {None, one} and host in {None, other} for one, other in self.under_way)

    async def close(self) -> None:
        """Cancel what is left."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
