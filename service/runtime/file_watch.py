"""Follows files while the service runs: what is made of them is made anew when their content changes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Generic, Protocol, Self, TypeVar

import structlog

log = structlog.get_logger(__name__)

_REPEAT_S = 60.0
"""After files could not be used for a reason outside of them."""
_PAUSE_S = 5.0
"""After a defect, before the watch begins again."""
_MAX_READINGS = 10
"""Of files that change while they are read on request."""


class Files(Protocol):
    """What some files held when they were read; equal while they hold the same."""

    def reread(self) -> Self:
        """Return what the files hold now, or that they cannot be read. May block; raises nothing."""
        ...


Content = TypeVar("Content", bound=Files)


class FileWatch(Generic[Content]):
    """Reads files again and again, and gives each new content to `use` once.

    The content is compared instead of modification times: these stay the same when a file is written twice within a
    tick of the clock, and Kubernetes swaps the folder that the files of a ConfigMap or a Secret lie in. Notices of the
    kernel come neither from a network's file system nor for what links point to. New content has to be the same for two
    readings, since an editor may be in the midst of writing it, and Kubernetes in the midst of a swap.
    """

    def __init__(
        self,
        first: Content,
        use: Callable[[Content], Awaitable[bool]],
        *,
        every_s: float | None,
        requested: asyncio.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`first` is in use. `use` returns False where another attempt with the same content may go better.

        Setting `requested` has the files read at once, and used even if they are the same; with `every_s` None they are
        read on request alone.
        """
        self._taken = self._seen = first
        self._use = use
        self._every_s = every_s
        self._clock = clock
        self._repeat_at_s: float | None = None
        self._requested = requested or asyncio.Event()

    async def watch(self) -> None:
        """Follow the files until cancelled; raises what `use` raises."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._requested.wait()
            if self._requested.is_set():
                self._requested.clear()
                await self._reload()
            else:
                await self.refresh()

    async def refresh(self) -> None:
        """Read the files once; use their content if it has changed and has settled."""
        is_settled = await self._read()
        is_due = self._repeat_at_s is not None and self._clock() >= self._repeat_at_s
        if is_settled and (is_due or self._seen != self._taken):
            await self._take()

    async def _reload(self) -> None:
        """Read the files until two readings are the same, and use them."""
        for _ in range(_MAX_READINGS):
            if await self._read():
                break
        await self._take()

    async def _read(self) -> bool:
        """Read the files in a thread, because a network's file system may hang; return whether they have settled."""
        before, self._seen = self._seen, await asyncio.to_thread(self._taken.reread)
        return self._seen == before

    async def _take(self) -> None:
        self._taken, self._repeat_at_s = self._seen, None
        if not await self._use(self._taken):
            self._repeat_at_s = self._clock() + _REPEAT_S


@asynccontextmanager
async def watching(watch: Callable[[], Coroutine[Any, Any, None]], *, name: str) -> AsyncIterator[None]:
    """Run a watch beside the block; after a defect, which is logged with the name, it begins again."""
    task = asyncio.create_task(_again_and_again(watch, name), name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _again_and_again(watch: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
    while True:
        try:
            await watch()
        except Exception:  # a defect must not leave what was read before in force in silence
            log.exception("watch.failed", watch=name)
        await asyncio.sleep(_PAUSE_S)
