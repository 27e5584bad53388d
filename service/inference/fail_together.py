"""Runs several requests for one answer at the same time; their failures become one error."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.core.errors import FatalError, RejectedError


@asynccontextmanager
async def fail_together() -> AsyncIterator[asyncio.TaskGroup]:
    """Run tasks as a group; raise only the most severe of their failures."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except ExceptionGroup as failures:
        raise max(failures.exceptions, key=_gravity) from None


def _gravity(failure: Exception) -> int:
    if isinstance(failure, FatalError):
        return 2
    return 1 if isinstance(failure, RejectedError) else 0
