"""A blocking load that takes minutes, beside a living event loop."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import structlog

log = structlog.get_logger(__name__)

T = TypeVar("T")

_LOG_EVERY_S = 10.0
"""Often enough to see that something goes on, rarely enough to leave the log readable."""


async def load_in_thread(load: Callable[[], T], *, model: str, timeout_s: float) -> T:
    """Return what `load` returns; log the progress meanwhile. Raises `TimeoutError` when the time is over.

    The thread is one that the interpreter does not wait for at its end, as nothing can interrupt it.
    """
    loaded: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    threading.Thread(target=_load, args=(load, loaded), name="load-model", daemon=True).start()
    start_s = time.monotonic()
    try:
        async with asyncio.timeout(timeout_s):
            while not loaded.done():
                await asyncio.wait([loaded], timeout=_LOG_EVERY_S)
                log.info("engine.loading", model=model, elapsed_s=round(time.monotonic() - start_s, 1))
        return loaded.result()
    finally:
        loaded.cancel()  # a late result is not awaited


def _load(load: Callable[[], T], loaded: "asyncio.Future[T]") -> None:
    # Processes that are started here inherit the mask. Ctrl-C reaches the terminal's whole process group, and the
    # model must outlive it: the drain that it asks for still needs answers.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        result = load()
    except BaseException as error:  # noqa: BLE001 - handed over to the task that waits
        _hand_over(loaded, loaded.set_exception, error)
    else:
        _hand_over(loaded, loaded.set_result, result)


def _hand_over(loaded: "asyncio.Future[T]", settle: Callable[[Any], None], value: object) -> None:
    loop = loaded.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(lambda: None if loaded.done() else settle(value))
