"""Publishes a skipped record's dead letter and stores that it is finished: together, or one after the other."""

from collections.abc import Callable, Sequence

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, for_code
from aiokafka.structs import OffsetAndMetadata

from service.core.errors import FatalError
from service.core.records import OutgoingRecord
from service.delivery.dead_letter import cut
from service.delivery.group_state import StoredOffsets
from service.delivery.offsets import Progress
from service.delivery.transactional_writer import TransactionalWriter
from service.kafka.connection import KafkaConnection, describe
from service.kafka.errors import CommitRefusedError, CommitUnknownError, OutcomesRefusedError
from service.kafka.publisher import open_publisher
from service.kafka.topic_limits import TopicLimits

_MAX_ATTEMPTS = 5
"""A service that commits at the same moment shuts the skip out; five times in a row it is something else."""

_NO_MEMBERS = ("Empty", "Dead", "")
"""States of a group without members: with offsets, without any, and unknown to the broker."""

Plan = Callable[[Progress], Progress]
"""Stored progress → the progress with the record finished; raises where that cannot be."""


class GroupAtWorkError(FatalError):
    """Without transactions a record is skipped while no process of the group runs."""

    reason = "skip.group_at_work"
    message = (
        "{place} cannot be skipped while processes of group {group} run ({state}), because delivery is at_least_once: "
        "stop them, skip the record, and start them again"
    )


async def commit_as_one(
    writer: TransactionalWriter, outcomes: Sequence[OutgoingRecord], plan: Plan, *, place: str, limits: TopicLimits
) -> None:
    """Publish and store in one transaction; the dead letter comes first and is cut where it does not fit.

    Raises `CommitRefusedError`, and what `plan` raises. Where no answer came to a try and the record is finished
    afterwards, it counts as done: the skip did it, or the service was quicker. It has one outcome in either case.
    """
    dead_letter, *others = outcomes
    attempted: Progress | None = None
    for _ in range(_MAX_ATTEMPTS):
        try:
            stored = await writer.open() or Progress(0)
            if attempted is not None and _has_all_of(stored, attempted):
                return
            attempted = plan(stored)
            if not limits.accepts(dead_letter):
                dead_letter = cut(dead_letter, max_bytes=limits.cut_bytes(dead_letter.topic))
            await writer.commit([dead_letter, *others], attempted)
        except CommitUnknownError as error:
            failure = error
            await writer.close()
            if isinstance(error, OutcomesRefusedError):
                await limits.learn(dead_letter.topic, refused_bytes=error.size_bytes, records=1)
        else:
            return
    raise CommitRefusedError(partition=place, attempts=_MAX_ATTEMPTS, detail=str(failure)) from failure


def _has_all_of(stored: Progress, attempted: Progress) -> bool:
    """Return whether all that was to be finished is: in this very form, or by an owner that has gone on since."""
    if stored == attempted:
        return True
    if stored.base < attempted.base:
        return False
    passed = stored.base - attempted.base
    return attempted.bitmap >> passed & ~stored.bitmap == 0


async def commit_in_turn(
    connection: KafkaConnection,
    admin: AIOKafkaAdminClient,
    outcomes: Sequence[OutgoingRecord],
    plan: Plan,
    *,
    partition: TopicPartition,
    place: str,
) -> None:
    """Publish, then store, for a group without members; a crash in between leaves a dead letter too many.

    Raises `GroupAtWorkError`, `CommitRefusedError`, what `plan` raises, and what publishing raises.
    """
    group_id = connection.settings.group_id
    state = await _state_of(admin, group_id)
    if state not in _NO_MEMBERS:
        raise GroupAtWorkError(place=place, group=group_id, state=state)
    planned = plan(await StoredOffsets(admin, group_id).fetch(partition) or Progress(0))
    async with open_publisher(connection.settings) as publisher:
        await publisher.publish(outcomes)
    async with connection.running(connection.group_consumer()) as consumer:
        consumer.assign([partition])
        try:
            await consumer.commit({partition: OffsetAndMetadata(planned.base, planned.encode())})
        except KafkaError as error:
            raise CommitRefusedError(partition=place, attempts=1, detail=describe(error)) from error


async def _state_of(admin: AIOKafkaAdminClient, group_id: str) -> str:
    (answer,) = await admin.describe_consumer_groups([group_id])
    ((code, _, state, *_),) = answer.groups
    if code:
        raise for_code(code)(group_id)
    return str(state)
