"""Asking again while brokers are away."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from service.stream.errors import CommitUnknownError

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""A leader that moved answers after tenths of a second, a broker that restarts after many."""


async def until_answered(ask: Callable[[], Awaitable[Answer]], *, event: str) -> Answer:
    """Ask until there is an answer; every `CommitUnknownError` in between is logged as the event."""
    for attempt in itertools.count():
        try:
            return await ask()
        except CommitUnknownError as error:
            backoff_s = BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)]
            log.warning(event, error=error, retry_in_s=backoff_s)
        await asyncio.sleep(backoff_s)
    raise AssertionError("counting ended")  # pragma: no cover - mypy cannot know that it does not
