"""What an error from Kafka means for a commit: refused for good, or unknown."""

from collections.abc import Iterator
from contextlib import contextmanager

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

from service.stream.connection import describe
from service.stream.errors import AccessDeniedError, CommitTimedOutError, CommitUnknownError

_DENIALS = (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

_UNKNOWN = (
    KafkaError,
    # A producer that was fenced or failed before answers every later call with one of these two.
    AssertionError,
    IllegalOperation,
    OSError,
)


@contextmanager
def unknown_unless_denied(operation: str) -> Iterator[None]:
    """Turn what aiokafka raises into `AccessDeniedError`, `CommitTimedOutError` or `CommitUnknownError`."""
    try:
        yield
    except _DENIALS as error:
        raise AccessDeniedError(operation=operation, detail=describe(error)) from error
    except TimeoutError as error:
        raise CommitTimedOutError(f"{operation}: no answer in time") from error
    except _UNKNOWN as error:
        # The reason of a plain KafkaError stands in its cause alone.
        detail = describe(error) if error.__cause__ is None else f"{describe(error)} ({describe(error.__cause__)})"
        raise CommitUnknownError(f"{operation}: {detail}") from error
