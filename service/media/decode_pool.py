"""Decodes images in processes of their own, so that a hostile file costs only itself.

A process holds one image at a time and is asked over a socket of its own: whatever it dies of lies at the door of
that image, nothing queues behind it, and no lock is shared that a dying process could take along.
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from service.media.decode_process import DecodeProcess, ProcessDiedError, process_limits
from service.media.errors import DecodeCrashedError, DecodeMemoryError, DecodeTimeoutError
from service.media.types import DecodedImage, FetchedImage
from service.pixels import ImageSpec
from service.settings import DecodeSettings
from service.telemetry import labels, names
from service.telemetry.instruments import DECODE_CRASHES
from service.telemetry.spans import waiting

WORKER_MODULE = "service.media.decode_worker"

Returned = TypeVar("Returned")


class _Slot:
    """A place for one process, which comes and goes."""

    def __init__(self) -> None:
        self.process: DecodeProcess | None = None


class ImageDecoder:
    """A pool of decoder processes; one image a process at a time, the others wait their turn here.

    `worker_module` is what a process runs: its `__main__` calls `decode_worker.serve`.
    """

    def __init__(self, settings: DecodeSettings, *, worker_module: str = WORKER_MODULE) -> None:
        self._settings = settings
        self._launch = partial(
            DecodeProcess.launch,
            worker_module,
            process_limits(
                memory_bytes=settings.memory_bytes,
                timeout_s=settings.timeout_s,
                max_pixels=settings.max_pixels,
                max_frames=settings.max_frames,
            ),
        )
        self._slots = [_Slot() for _ in range(settings.workers or len(os.sched_getaffinity(0)))]
        self._idle: asyncio.Queue[_Slot] = asyncio.Queue()
        self._waiting = 0
        self._threads = ThreadPoolExecutor(len(self._slots), thread_name_prefix="decode")

    async def start(self) -> None:
        """Start every process, so that the first images wait for none; raises DecoderUnavailableError."""
        try:
            async with asyncio.TaskGroup() as group:
                for slot in self._slots:
                    group.create_task(self._occupy(slot), name="decode.start")
        except ExceptionGroup as failures:
            await self._end_processes()
            raise failures.exceptions[0] from None
        for slot in self._slots:
            self._idle.put_nowait(slot)

    async def close(self) -> None:
        """Wait for the images in hand (each within its time limit), then end every process; decode nothing after it."""
        for _ in self._slots:
            await self._idle.get()
        await self._end_processes()

    @property
    def process_ids(self) -> frozenset[int]:
        """Ids of the processes that are there now."""
        return frozenset(process.pid for slot in self._slots if (process := slot.process))

    @property
    def waiting(self) -> int:
        """Images that wait for a process."""
        return self._waiting

    async def decode(self, fetched: FetchedImage, spec: ImageSpec) -> DecodedImage:
        """Decode an image to the spec; raises the RejectedError that fits, or DecoderUnavailableError.

        When cancelled, what works on the image ends at once.
        """
        with waiting(names.WAIT_DECODER):
            slot = await self._free_slot()
        try:
            return await self._decode_in(slot, fetched.data, spec)
        finally:
            self._idle.put_nowait(slot)

    async def _free_slot(self) -> _Slot:
        self._waiting += 1
        try:
            return await self._idle.get()
        finally:
            self._waiting -= 1

    async def _decode_in(self, slot: _Slot, data: bytes, spec: ImageSpec) -> DecodedImage:
        """Ask the slot's process and, if it dies, a fresh one: the first may have been killed from outside, or ill
        of an earlier file; only what two processes die of is the image's fault.
        """
        try:
            return await self._ask(slot, data, spec)
        except ProcessDiedError:
            pass
        try:
            return await self._ask(slot, data, spec)
        except ProcessDiedError as death:
            if death.is_out_of_memory:
                raise DecodeMemoryError(limit_bytes=self._settings.memory_bytes) from None
            raise DecodeCrashedError(detail=death.detail) from None

    async def _ask(self, slot: _Slot, data: bytes, spec: ImageSpec) -> DecodedImage:
        process = await self._occupy(slot)
        ask = partial(process.ask, data, spec, timeout_s=self._settings.timeout_s)
        try:
            return await self._in_thread(ask, abandon=lambda _: _vacate(slot))
        except (ProcessDiedError, DecodeTimeoutError) as error:
            DECODE_CRASHES.add(1, {labels.REASON: _reason(error)})
            raise

    async def _occupy(self, slot: _Slot) -> DecodeProcess:
        """Return the slot's process, a new one if there is none or it has died."""
        if slot.process and not slot.process.is_alive:
            slot.process.end()  # at once: it has ended, only its socket is left
            slot.process = None
        if slot.process is None:
            slot.process = await self._in_thread(self._launch, abandon=self._end_when_launched)
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
        def end(launched: "asyncio.Future[DecodeProcess]") -> None:
            if not launched.cancelled() and launched.exception() is None:
                self._threads.submit(launched.result().end)

        future.add_done_callback(end)

    async def _end_processes(self) -> None:
        for slot in self._slots:
            if slot.process:
                await asyncio.to_thread(slot.process.end)
                slot.process = None
        await asyncio.to_thread(self._threads.shutdown)


def _vacate(slot: _Slot) -> None:
    """Kill the slot's process; the thread that waits for its answer frees the rest."""
    if slot.process:
        slot.process.kill()
        slot.process = None


def _reason(error: ProcessDiedError | DecodeTimeoutError) -> str:
    """Return the reason code that an image gets which this happens to twice."""
    if isinstance(error, DecodeTimeoutError):
        return error.reason
    return DecodeMemoryError.reason if error.is_out_of_memory else DecodeCrashedError.reason


def _look_at(future: "asyncio.Future[Returned]") -> None:
    """Take note of a failure that nobody waits for any more, or asyncio reports it as forgotten."""
    if not future.cancelled():
        future.exception()
