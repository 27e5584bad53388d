"""Builds the stream: checks the brokers, joins the group, and leaves it in good order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from service.core.records import Partition
from service.delivery.assignment import Assignment, StreamListener
from service.delivery.at_least_once_writer import AtLeastOnceWriter
from service.delivery.commit_target import CommitTarget
from service.delivery.committer import OutcomeWriter
from service.delivery.consumer import KafkaStream
from service.delivery.group_state import GroupHistory, Membership, StoredOffsets
from service.delivery.log_watch import LogWatch
from service.delivery.offset_guard import OffsetGuard
from service.delivery.required_topics import output_topics, required_topics
from service.delivery.retry import retry_tiers
from service.delivery.transactional_writer import TransactionalWriter, check_transactions
from service.kafka.connection import KafkaConnection
from service.kafka.log_bounds import BoundsReader, LogEnds
from service.kafka.outage import find_outage
from service.kafka.topic_configs import check_limits
from service.kafka.topic_limits import TopicLimits
from service.kafka.topics import check_topics
from service.settings.settings import Settings

WriterFactory = Callable[[TopicPartition], OutcomeWriter]


@asynccontextmanager
async def open_stream(settings: Settings, listener: StreamListener, limits: TopicLimits) -> AsyncIterator[KafkaStream]:
    """Join the group; on leaving the block, commit what is finished and leave the group.

    `limits` are set to what the output topics accept. Raises `KafkaUnreachableError`, `AccessDeniedError`,
    `TopicMissingError`, `TopicLimitError` or `TransactionsRefusedError`.
    """
    connection = KafkaConnection(settings.kafka)
    retry_delays_s = {tier.topic: tier.delay_s for tier in retry_tiers(settings)}
    await check_topics(connection, required_topics(settings))
    await check_limits(connection, output_topics(settings), limits)
    async with (
        connection.running(connection.group_consumer()) as consumer,
        connection.running(connection.onlooker()) as onlooker,
        connection.running(connection.admin()) as admin,
        _writers(
            connection, consumer, stored := StoredOffsets(admin, settings.kafka.group_id), settings, limits
        ) as make_writer,
    ):
        bounds = BoundsReader(consumer, onlooker)
        assignment = Assignment(
            consumer,
            settings.commit,
            listener,
            guard=_guard(settings, bounds, admin, onlooker),
            make_writer=make_writer,
            limits=limits,
            find_outage=partial(find_outage, connection, output_topics(settings)),
            # The group waits for us for so long; leave it time to join in again.
            release_timeout_s=min(settings.commit.timeout_s, settings.kafka.rebalance_timeout_s / 2),
        )
        consumer.subscribe([settings.topics.uploads, *retry_delays_s], listener=assignment)
        ends = LogEnds(bounds.read, without_any=Partition(settings.topics.uploads, 0))
        watch = LogWatch(consumer, assignment, ends=ends, refusals=consumer.refusals, stored=stored)
        max_span = settings.window.max_span
        try:
            async with (
                _running(limits.follow(), name="topic-limits"),
                _running(watch.run(), name="log-watch"),
            ):
                yield KafkaStream(
                    consumer,
                    assignment,
                    ends=ends,
                    refusals=consumer.refusals,
                    retry_delays_s=retry_delays_s,
                    max_span=max_span,
                )
        finally:
            await assignment.release()


@asynccontextmanager
async def _running(work: Coroutine[None, None, None], *, name: str) -> AsyncIterator[None]:
    """Run something in the background."""
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def _writers(
    connection: KafkaConnection,
    consumer: AIOKafkaConsumer,
    stored: StoredOffsets,
    settings: Settings,
    limits: TopicLimits,
) -> AsyncIterator[WriterFactory]:
    """Give what makes the writer of a partition, by the setting `delivery`."""
    is_member = Membership(consumer).confirm

    def target(partition: TopicPartition) -> CommitTarget:
        return CommitTarget(partition, stored, settings.commit, limits, is_member)

    if settings.delivery == "exactly_once":
        await check_transactions(connection, settings.commit)
        yield lambda partition: TransactionalWriter(connection, target(partition))
        return
    async with connection.running(connection.producer()) as producer:
        yield lambda partition: AtLeastOnceWriter(producer, consumer, target(partition))


def _guard(
    settings: Settings, bounds: BoundsReader, admin: AIOKafkaAdminClient, onlooker: AIOKafkaConsumer
) -> OffsetGuard:
    group_id, topics = settings.kafka.group_id, settings.topics
    stored = StoredOffsets(admin, group_id)
    history = GroupHistory(
        admin, onlooker, stored, uploads=topics.uploads, outcome_topics=(topics.verdicts, topics.dead_letters)
    )
    return OffsetGuard(
        bounds.read,
        history,
        choice=settings.kafka.on_lost_offsets,
        group_id=group_id,
        # The embedded broker, which has no transactions, reports the end too low.
        trusts_ends=settings.delivery == "exactly_once",
    )
