"""Makes aiokafka's clients from the settings, with the options on which exactly-once delivery depends."""

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any, Literal, TypeAlias, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.codec import gzip_encode
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.errors import KafkaConnectionError, KafkaError, ProducerClosed

from service.core.errors import FatalError
from service.kafka.certificates import ssl_context
from service.kafka.connection_refusals import refusal
from service.kafka.errors import (
    AccessDeniedError,
    KafkaUnreachableError,
    TokenUnavailableError,
)
from service.kafka.oauth import ClientCredentials
from service.kafka.tolerant_consumer import TolerantConsumer
from service.kafka.transports import await_transports
from service.settings.kafka import KafkaSettings

# Records gathered into one batch of the protocol, before compression: larger ones hardly compress better, and a
# batch must stay under the brokers' message.max.bytes.
_BATCH_BYTES = 256 * 1024

# aiokafka has no setting for the level. Its default, 9, takes 1.5 to 4.6 times the work of 1 for at most 6 % fewer
# bytes (16 KB of small records), and compresses in the event loop.
gzip_encode.__defaults__ = (1,)

# Ends the wait for a client that no longer answers; an orderly end takes milliseconds.
_STOP_TIMEOUT_S = 5.0

Client: TypeAlias = AIOKafkaConsumer | AIOKafkaProducer | AIOKafkaAdminClient
ClientT = TypeVar("ClientT", bound=Client)


class KafkaConnection:
    """Makes clients for one cluster; the caller starts and stops each client."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    @property
    def settings(self) -> KafkaSettings:
        """The settings of every client that this object makes."""
        return self._settings

    def group_consumer(self) -> TolerantConsumer:
        """Return a group consumer without a subscription, which never commits by itself."""
        settings = self._settings
        consumer = TolerantConsumer(
            **self._common(),
            **self._reading(),
            group_id=settings.group_id,
            enable_auto_commit=False,
            # Without it an offset that the log does not have would be replaced by another one without notice.
            auto_offset_reset="none",
            isolation_level="read_committed",
            partition_assignment_strategy=(StickyPartitionAssignor,),
            session_timeout_ms=_milliseconds(settings.session_timeout_s),
            heartbeat_interval_ms=_milliseconds(settings.heartbeat_interval_s),
            rebalance_timeout_ms=_milliseconds(settings.rebalance_timeout_s),
            metadata_max_age_ms=_milliseconds(settings.metadata_max_age_s),
        )
        return _awaiting_transports(consumer)

    def reader(
        self, topics: Sequence[str], *, without_offset: Literal["earliest", "none"] = "earliest"
    ) -> TolerantConsumer:
        """Return a consumer outside any group, which reads committed records only.

        Where a log does not have its offset, it goes on at the earliest, or raises aiokafka's `OffsetOutOfRangeError`.
        """
        consumer = TolerantConsumer(
            *topics,
            **self._common(),
            **self._reading(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset=without_offset,
            isolation_level="read_committed",
        )
        return _awaiting_transports(consumer)

    def onlooker(self) -> AIOKafkaConsumer:
        """Return a consumer without partitions, which reports the ends of logs, including open transactions."""
        consumer = AIOKafkaConsumer(**self._common(), group_id=None, isolation_level="read_uncommitted")
        return _awaiting_transports(consumer)

    def producer(self, *, is_idempotent: bool = False) -> AIOKafkaProducer:
        """Return a producer whose records all in-sync replicas acknowledge; an idempotent one repeats none."""
        producer = AIOKafkaProducer(
            **self._common(), **self._publishing(), acks="all", enable_idempotence=is_idempotent
        )
        return _awaiting_transports(producer)

    def transactional_producer(self, transactional_id: str, *, timeout_s: float) -> AIOKafkaProducer:
        """Return a transactional producer; starting it fences every other one with the same id."""
        producer = AIOKafkaProducer(
            **self._common(),
            **self._publishing(),
            transactional_id=transactional_id,
            transaction_timeout_ms=_milliseconds(timeout_s),
        )
        return _awaiting_transports(producer)

    def admin(self) -> AIOKafkaAdminClient:
        """Return a client for topics and stored offsets."""
        return _awaiting_transports(AIOKafkaAdminClient(**self._common()))

    @asynccontextmanager
    async def running(self, client: ClientT) -> AsyncIterator[ClientT]:
        """Start a client, and stop it at the end of the block."""
        await self.start(client)
        try:
            yield client
        finally:
            await stop_client(client)

    async def start(self, client: Client) -> None:
        """Start a client, or leave nothing open.

        Raises `KafkaUnreachableError`, its subclass that names the setting where brokers answer and let no client in,
        or `AccessDeniedError`.
        """
        try:
            await self._start(client)
        except (KafkaConnectionError, OSError, TimeoutError) as error:
            self._check_token()
            raise await self.unreachable(error) from error
        except KafkaError as error:
            self._check_token()
            raise AccessDeniedError(operation="connections", detail=describe(error)) from error

    async def fault(self) -> FatalError | None:
        """Return the error of `start` that every client would get; None if a client can connect."""
        try:
            async with self.running(self.admin()):
                return None
        except FatalError as error:
            return error

    async def _start(self, client: Client) -> None:
        try:
            async with asyncio.timeout(self._settings.request_timeout_s):
                await client.start()
        except BaseException:  # a cancelled start included
            await stop_client(client)
            raise

    async def unreachable(self, error: BaseException) -> KafkaUnreachableError:
        """Return the service's error for an error that prevented a connection."""
        servers = self._settings.bootstrap_servers
        return await refusal(self._settings, self._admission()) or KafkaUnreachableError(
            bootstrap_servers=servers, detail=_why_unreachable(error)
        )

    def _check_token(self) -> None:
        """Raise `TokenUnavailableError` if it was the token that was missing: aiokafka only says that it failed."""
        if self._settings.sasl_mechanism == "OAUTHBEARER" and (failure := self._tokens.failure):
            raise TokenUnavailableError(detail=failure.args[0]) from failure

    def _common(self) -> dict[str, Any]:
        return {"bootstrap_servers": self._settings.bootstrap_servers.split(","), **self._admission()}

    def _admission(self) -> dict[str, Any]:
        """Return how every connection introduces itself."""
        settings = self._settings
        password = settings.sasl_password
        return {
            "client_id": settings.client_id,
            "request_timeout_ms": _milliseconds(settings.request_timeout_s),
            "security_protocol": settings.security_protocol,
            "ssl_context": self._ssl_context if settings.security_protocol.endswith("SSL") else None,
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": password.get_secret_value() if password else None,
            "sasl_oauth_token_provider": self._tokens if settings.sasl_mechanism == "OAUTHBEARER" else None,
        }

    def _publishing(self) -> dict[str, object]:
        settings = self._settings
        return {
            "compression_type": None if settings.compression == "none" else settings.compression,
            "max_request_size": settings.max_request_bytes,
            "max_batch_size": min(_BATCH_BYTES, settings.max_request_bytes),
        }

    def _reading(self) -> dict[str, Any]:
        settings = self._settings
        return {
            "max_batch_bytes": settings.max_batch_bytes,
            "max_held_bytes": settings.max_prefetch_bytes,
            "max_partition_fetch_bytes": settings.max_partition_fetch_bytes,
            "fetch_max_bytes": settings.max_prefetch_bytes,
        }

    @cached_property
    def _ssl_context(self) -> ssl.SSLContext:
        return ssl_context(self._settings)

    @cached_property
    def _tokens(self) -> ClientCredentials:
        return ClientCredentials(self._settings.oauth)


async def stop_client(client: Client) -> None:
    """Stop a client: in good order where that is possible, and soon in any case.

    Errors do not matter any more: what was not committed is read again.
    """
    stop = client.close if isinstance(client, AIOKafkaAdminClient) else client.stop
    try:
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await stop()
    finally:  # also of a client whose end was cut short
        await _connections(client).close()


async def discard(producer: AIOKafkaProducer) -> None:
    """End a producer in any state without waiting for what it still holds.

    aiokafka's own `stop` waits for records that an idempotent producer retries for ever, and leaves the errors of a
    fatal transaction and its batches to be reported as never retrieved; both can only be helped from within.
    """
    accumulator = producer._message_accumulator
    accumulator.fail_all(ProducerClosed())
    for batch in itertools.chain(*accumulator._batches.values(), accumulator._pending_batches):
        _take_note(batch._drain_waiter)
    await producer.client.close()
    # Its sender may be about to send a batch once more that has just been failed, and dies of removing it twice.
    with contextlib.suppress(KeyError):
        await stop_client(producer)
    if producer._txn_manager is not None:  # of a producer that is idempotent
        _take_note(producer._txn_manager._transaction_waiter)


def _awaiting_transports(client: ClientT) -> ClientT:
    await_transports(_connections(client))
    return client


def _connections(client: Client) -> AIOKafkaClient:
    return client._client if isinstance(client, AIOKafkaConsumer | AIOKafkaAdminClient) else client.client


def _take_note(future: asyncio.Future[None] | None) -> None:
    if future is not None and future.done() and not future.cancelled():
        future.exception()


def describe(error: BaseException) -> str:
    """Return an error's name and text; many of Kafka's have no text."""
    kind, words = type(error).__name__, str(error)
    return words if words.startswith(kind) else f"{kind}: {words}".removesuffix(": ")


def _why_unreachable(error: BaseException) -> str:
    """Return what to do; aiokafka's own words list its addresses once more, and it has logged each failure."""
    if isinstance(error, KafkaConnectionError):
        return "no connection could be made; start a broker there, or correct the addresses"
    return describe(error)


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
