"""Decodes images in processes of their own, so that a hostile file costs only itself.

A process holds one image at a time and is asked over a socket of its own: whatever it dies of lies at the door of
that image, nothing queues behind it, and no lock is shared that a dying process could take along.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import structlog

from service.core.pixels import ImageSpec
from service.core.spans import waiting
from service.media.decode_deaths import REASONS, Cause, ProcessDiedError, conclusion
from service.media.decode_process import START_TIMEOUT_S, DecodeProcess, process_limits
from service.media.errors import DecoderStalledError, DecoderUnavailableError, DecodeTimeoutError
from service.media.oom_kills import oom_kills
from service.media.sandbox import UNCONFINED, Confinement
from service.media.types import DecodedImage, FetchedImage
from service.settings.media import DecodeSettings
from service.telemetry import labels, names
from service.telemetry.instruments import DECODE_CRASHES

WORKER_MODULE = "service.media.decode_worker"

log = structlog.get_logger(__name__)

Returned = TypeVar("Returned")


class _Slot:
    """A place for one process, which comes and goes."""

    def __init__(self) -> None:
        self.process: DecodeProcess | None = None


class ImageDecoder:
    """A pool of decoder processes; one image a process at a time, the others wait their turn here.

    `worker_module` is what a process runs: its `__main__` calls `decode_worker.serve`. `oom_kills` counts the processes
    that the kernel has killed for want of memory.
    """

    def __init__(
        self,
        settings: DecodeSettings,
        *,
        worker_module: str = WORKER_MODULE,
        oom_kills: Callable[[], int | None] = oom_kills,
    ) -> None:
        self._settings = settings
        self._count_oom_kills = oom_kills
        self._launch = partial(
            DecodeProcess.launch,
            worker_module,
            process_limits(
                memory_bytes=settings.memory_bytes,
                timeout_s=settings.timeout_s,
                max_pixels=settings.max_pixels,
                max_frames=settings.max_frames,
                max_views=max(settings.max_views, settings.max_frames),
                full_jpeg=settings.full_jpeg,
            ),
        )
        self._slots = [_Slot() for _ in range(settings.workers or len(os.sched_getaffinity(0)))]
        self._idle: asyncio.Queue[_Slot] = asyncio.Queue()
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._in_hand: set[asyncio.Timeout] = set()
        """The deadlines of the images that are decoded or wait for it; they have none until the pool closes."""
        self._none_in_hand = asyncio.Event()
        self._is_closed = False
        self._abandoned: set[asyncio.Task[None]] = set()
        """Tasks that end processes whose start, or whose work, was cancelled."""
        self._confinement = UNCONFINED
        self._oom_kills = self._count_oom_kills()
        self._threads = ThreadPoolExecutor(len(self._slots), thread_name_prefix="decode")

    async def start(self) -> None:
        """Start every process, so that the first images wait for none; raises DecoderUnavailableError."""
        try:
            async with asyncio.TaskGroup() as group:
                for slot in self._slots:
                    group.create_task(self._occupy(slot), name="decode.start")
        except ExceptionGroup as failures:
            await self.close()
            raise failures.exceptions[0] from None
        for slot in self._slots:
            self._idle.put_nowait(slot)
        self._log_confinement()

    def _log_confinement(self) -> None:
        """Warn where the kernel does not offer what holds a decoder that a file has taken over."""
        if missing := self.confinement.missing:
            log.warning(
                "decode.unconfined",
                missing=missing,
                hint="a file that takes over its decoder could reach further: see SECURITY.md",
            )

    @property
    def confinement(self) -> Confinement:
        """The confinement of the process that was started last; empty before the first."""
        return self._confinement

    async def close(self, *, grace_s: float | None = None) -> None:
        """Wait for the images in hand, then end every process; images that come later get DecoderUnavailableError.

        So do images that are still in hand after the grace, by default the start of a process and the time limit of
        one image.
        """
        self._is_closed = True
        grace_s = START_TIMEOUT_S + self._settings.timeout_s if grace_s is None else grace_s
        for deadline in self._in_hand:
            deadline.reschedule(asyncio.get_running_loop().time() + grace_s)
        if self._in_hand:
            await self._none_in_hand.wait()
        await self._end_processes()

    @property
    def process_ids(self) -> frozenset[int]:
        """The process ids of the present decoders."""
        return frozenset(process.pid for slot in self._slots if (process := slot.process))

    @property
    def waiting(self) -> int:
        """The number of images that wait for a decoder."""
        return self._waiting

    async def decode(self, fetched: FetchedImage, spec: ImageSpec) -> DecodedImage:
        """Decode an image to the spec; raises the error that fits, or DecoderUnavailableError.

        What a process dies of is tried again in a fresh one: it may have been ill of an earlier file. After the OOM
        killer no other process works meanwhile, so that what others took is not blamed on this file. When cancelled,
        what works on the image ends at once.
        """
        async with self._held():
            return await self._decode(fetched, spec)

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        """Let the closing of the pool wait for the block, and end it after the grace."""
        if self._is_closed:
            raise DecoderUnavailableError(detail="the decoders are closed")
        try:
            async with asyncio.timeout(None) as deadline:
                self._in_hand.add(deadline)
                try:
                    yield
                finally:
                    self._in_hand.discard(deadline)
                    if self._is_closed and not self._in_hand:
                        self._none_in_hand.set()
        except TimeoutError:
            raise DecoderUnavailableError(detail="the decoders closed before the image was decoded") from None

    async def _decode(self, fetched: FetchedImage, spec: ImageSpec) -> DecodedImage:
        deaths: list[ProcessDiedError] = []
        while True:
            is_alone = any(death.cause is Cause.OOM_KILLED for death in deaths)
            async with self._slot(is_alone=is_alone) as slot:
                try:
                    return await self._ask(slot, fetched.data, spec, is_retry=bool(deaths))
                except ProcessDiedError as death:
                    deaths.append(death)
            if error := conclusion(deaths, memory_bytes=self._settings.memory_bytes):
                raise error

    @asynccontextmanager
    async def _slot(self, *, is_alone: bool) -> AsyncIterator[_Slot]:
        """Give a slot in turn and, to one that works alone, none to any other meanwhile."""
        taken: list[_Slot] = []
        self._waiting += 1
        try:
            try:
                with waiting(names.WAIT_DECODER):
                    async with self._turn:
                        while len(taken) < (len(self._slots) if is_alone else 1):
                            taken.append(await self._idle.get())
            finally:
                self._waiting -= 1
            if is_alone:
                self._oom_kills = self._count_oom_kills()
            yield taken[0]
        finally:
            for slot in taken:
                self._idle.put_nowait(slot)

    async def _ask(self, slot: _Slot, data: bytes | bytearray, spec: ImageSpec, *, is_retry: bool) -> DecodedImage:
        if is_retry and slot.process:
            used, slot.process = slot.process, None
            await self._in_thread(used.end, abandon=lambda _: None)
        process = await self._occupy(slot)
        ask = partial(process.ask, data, spec, timeout_s=self._settings.timeout_s)
        try:
            return await self._in_thread(ask, abandon=partial(self._vacate, slot))
        except ProcessDiedError as death:
            self._look_for_oom_killer(death)
            DECODE_CRASHES.add(1, {labels.REASON: REASONS[death.cause]})
            raise
        except (DecodeTimeoutError, DecoderStalledError) as error:
            DECODE_CRASHES.add(1, {labels.REASON: error.reason})
            raise

    def _look_for_oom_killer(self, death: ProcessDiedError) -> None:
        if death.cause is Cause.KILLED:
            before, self._oom_kills = self._oom_kills, self._count_oom_kills()
            if self._oom_kills != before:
                death.cause = Cause.OOM_KILLED

    async def _occupy(self, slot: _Slot) -> DecodeProcess:
        """Return the slot's process, a new one if there is none or it has died."""
        if slot.process and not slot.process.is_alive:
            slot.process.end()  # at once: it has ended, only its socket is left
            slot.process = None
        if slot.process is None:
            slot.process = await self._in_thread(self._launch, abandon=self._end_when_launched)
            self._confinement = slot.process.confinement
        return slot.process

    async def _in_thread(
        self, call: Callable[[], Returned], *, abandon: Callable[["asyncio.Future[Returned]"], None]
    ) -> Returned:
        """Run a blocking call; when cancelled, leave it to `abandon`, because a thread cannot be stopped."""
        future = asyncio.get_running_loop().run_in_executor(self._threads, call)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            abandon(future)
            future.add_done_callback(_look_at)
            raise

    def _end_when_launched(self, future: "asyncio.Future[DecodeProcess]") -> None:
        async def end() -> None:
            with suppress(DecoderUnavailableError):
                await asyncio.to_thread((await future).end)

        self._abandon(end())

    def _vacate(self, slot: _Slot, future: "asyncio.Future[DecodedImage]") -> None:
        """Kill the slot's process, and free the rest once no thread uses it: its answer may have come just now."""
        process, slot.process = slot.process, None
        if process is None:
            return
        process.kill()

        async def end() -> None:
            await asyncio.wait([future])
            await asyncio.to_thread(process.end)

        self._abandon(end())

    def _abandon(self, ending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(ending, name="decode.abandoned")
        self._abandoned.add(task)
        task.add_done_callback(self._abandoned.discard)

    async def _end_processes(self) -> None:
        if self._abandoned:
            await asyncio.wait(self._abandoned)
        for slot in self._slots:
            if slot.process:
                await asyncio.to_thread(slot.process.end)
                slot.process = None
        await asyncio.to_thread(self._threads.shutdown)


def _look_at(future: "asyncio.Future[Returned]") -> None:
    """Retrieve a failure that no task awaits any more, or asyncio logs it as never retrieved."""
    if not future.cancelled():
        future.exception()
