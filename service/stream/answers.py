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
    """Return what an error from Kafka says if it is a denial."""
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
