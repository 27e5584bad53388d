"""Verdicts from the topic into a spool: what is committed there now."""

from collections.abc import Callable
from datetime import datetime

import orjson
import structlog

from service.core.records import SourceRecord
from service.kafka.connection import KafkaConnection
from service.kafka.reader import open_snapshot
from service.settings.settings import Settings
from service.tools.evaluation.stored.errors import VerdictUnreadableError
from service.tools.evaluation.stored.spool import VerdictSpool

log = structlog.get_logger(__name__)


async def spool_topic(
    settings: Settings, spool: VerdictSpool, since: datetime | None, on_progress: Callable[[int, int], None]
) -> None:
    """Add the verdicts that are committed now and were published at `since` or later; others' records are skipped."""
    connection, topic, skipped = KafkaConnection(settings.kafka), settings.topics.verdicts, 0
    async with open_snapshot(connection, topic, setting="topics.verdicts", since=since) as snapshot:
        async for records in snapshot.batches():
            skipped += sum(not _add(record, spool) for record in records)
            on_progress(snapshot.passed, snapshot.total)
    if skipped:
        log.warning("verdicts.skipped", topic=topic, records=skipped, detail="they are no verdicts of version 1")


def _add(record: SourceRecord, spool: VerdictSpool) -> bool:
    place = f"{record.topic} partition {record.partition} offset {record.offset}"
    try:
        spool.add(place, orjson.loads(record.value or b""))
    except (orjson.JSONDecodeError, VerdictUnreadableError):
        return False
    return True
