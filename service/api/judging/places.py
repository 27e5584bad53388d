"""Which images of the API are in work, which wait, and which are refused."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from service.api.errors import ApiError
from service.core.fair_queue import FairTurns

_SHARE = 7
"""A tenant has at most seven times as many images waiting as there is room for more: another tenant finds some room."""


class TooBusyError(ApiError):
    """Too many images wait already."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    reason = "api.busy"
    kind = "rate_limit_error"
    message = "{waiting} images wait for a place already (api.max_requests, api.max_waiting). Try again in {after_s} s"

    def __init__(self, *, waiting: int, after_s: int) -> None:
        super().__init__(headers={"Retry-After": str(after_s)}, waiting=waiting, after_s=after_s)


class DrainingError(ApiError):
    """The service is about to end."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    reason = "api.draining"
    kind = "server_error"
    message = "The service is shutting down and takes no further requests. Try again: another process answers"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1", "Connection": "close"})


class Places:
    """A fixed number of places for images in work, by tenant in turn, and a bounded number that wait for one."""

    def __init__(self, count: int, *, max_waiting: int, busy: type[TooBusyError] = TooBusyError) -> None:
        """`busy` is raised where too many wait."""
        self._count = count
        self._busy = busy
        self._max_waiting = max_waiting
        self._turns = FairTurns(count)
        self._waiting: Counter[str] = Counter()
        self._in_work = 0
        self.draining = asyncio.Event()
        """Set once the service ends."""

    @property
    def in_work(self) -> int:
        """Images that have a place."""
        return self._in_work

    @property
    def waiting(self) -> int:
        """Images that wait for a place, without those of batches."""
        return self._waiting.total()

    @property
    def is_draining(self) -> bool:
        """Whether further images are refused."""
        return self.draining.is_set()

    def drain(self) -> None:
        """Refuse all further images; those in work and waiting go on."""
        self.draining.set()

    def check_open(self) -> None:
        """Raise `DrainingError` once the service ends."""
        if self.draining.is_set():
            raise DrainingError

    @asynccontextmanager
    async def place(self, tenant: str, *, is_patient: bool = False) -> AsyncIterator[None]:
        """Hold a place during the block; raises `TooBusyError` if too many wait, and `DrainingError`.

        One who is patient waits in the tenant's turn without limit, and does not keep others from waiting: the caller
        bounds how many wait so.
        """
        if is_patient:
            await self._turns.acquire(tenant, "api")
        else:
            self.check_open()
            if not self._turns.try_acquire("api"):
                self._check_room(tenant)
                await self._wait(tenant)
        self._in_work += 1
        try:
            yield
        finally:
            self._in_work -= 1
            self._turns.release("api")

    async def _wait(self, tenant: str) -> None:
        self._waiting[tenant] += 1
        try:
            await self._turns.acquire(tenant, "api")
        finally:
            self._waiting[tenant] -= 1
            if not self._waiting[tenant]:
                del self._waiting[tenant]

    def _check_room(self, tenant: str) -> None:
        waiting = self.waiting
        if self._waiting[tenant] >= _SHARE * (self._max_waiting - waiting):
            # As long as those that wait take at one a second and place, which slow engines keep: a guess to be polite.
            raise self._busy(waiting=waiting, after_s=max(1, math.ceil(waiting / self._count)))
