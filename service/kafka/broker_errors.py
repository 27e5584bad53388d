"""Classifies errors of Kafka for a commit: refused for good, or unknown whether it happened."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalOperation,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from service.kafka.connection import describe
from service.kafka.errors import AccessDeniedError, CommitTimedOutError, CommitUnknownError

_GRANTS: dict[type[KafkaError], str] = {
    AuthenticationFailedError: "the credentials in kafka.*, which the brokers no longer accept",
    ClusterAuthorizationFailedError: "the grant IdempotentWrite on the cluster",
    GroupAuthorizationFailedError: "the grants Describe and Read on the group of kafka.group_id",
    SaslAuthenticationFailed: "the credentials in kafka.*, which the brokers no longer accept",
    TopicAuthorizationFailedError: "the grants Describe and Read, or Describe and Write, on the topics of topics.*",
    TransactionalIdAuthorizationFailed: (
        "the grants Describe and Write on the transactional ids that begin with kafka.group_id"
    ),
}
"""A denial → what to check; deploy/strimzi/kafkausers.yaml has all grants of the service."""

_UNKNOWN = (
    KafkaError,
    # A producer that was fenced or failed before answers every later call with one of these two.
    AssertionError,
    IllegalOperation,
    OSError,
)


def denial(operation: str, error: KafkaError) -> AccessDeniedError | None:
    """Return the denial in an error from Kafka, with the operation and resource; None for other errors."""
    checked = _GRANTS.get(type(error))
    return AccessDeniedError(operation=operation, detail=f"{describe(error)}; check {checked}") if checked else None


@contextmanager
def unknown_unless_denied(operation: str) -> Iterator[None]:
    """Turn what aiokafka raises into `AccessDeniedError`, `CommitTimedOutError` or `CommitUnknownError`."""
    try:
        yield
    except tuple(_GRANTS) as error:
        raise denial(operation, error) or error from error
    except TimeoutError as error:
        raise CommitTimedOutError(f"{operation}: no answer in time") from error
    except _UNKNOWN as error:
        # The reason of a plain KafkaError stands in its cause alone.
        detail = describe(error) if error.__cause__ is None else f"{describe(error)} ({describe(error.__cause__)})"
        raise CommitUnknownError(f"{operation}: {detail}") from error


log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

BACKOFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""A leader that moved answers after tenths of a second, a broker that restarts after many."""


async def until_answered(ask: Callable[[], Awaitable[Answer]], *, event: str) -> Answer:
    """Repeat a request until the brokers respond; each `CommitUnknownError` in between is logged as the event."""
    for attempt in itertools.count():
        try:
            return await ask()
        except CommitUnknownError as error:
            backoff_s = BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)]
            log.warning(event, error=error, retry_in_s=backoff_s)
        await asyncio.sleep(backoff_s)
    raise AssertionError("counting ended")  # pragma: no cover - mypy cannot know that it does not
