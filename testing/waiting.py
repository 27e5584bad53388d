"""Waiting for the world without guessing how long it takes."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable


async def wait_until(
    predicate: Callable[[], bool | Awaitable[bool]], *, description: str, timeout_s: float = 30.0, every_s: float = 0.02
) -> None:
    """Return once the predicate holds; fail with the description when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = predicate()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s in vain until {description}")
        await asyncio.sleep(every_s)
