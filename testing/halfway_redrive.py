"""`python -m testing.halfway_redrive SETTINGS_JSON`: sends dead letters back, and stops in its second transaction.

The first 100 dead letters are committed, the next 100 are published in a transaction that stays open. Then it says so
on standard output, and waits to be killed.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from service.core.records import OutgoingRecord
from service.kafka.publisher import publish
from service.kafka.topics import journal_topic
from service.settings.settings import Settings
from service.tools.dead_letters.actions import Redrive
from service.tools.dead_letters.filters import DeadLetterFilter
from service.tools.dead_letters.rate_limit import Pace
from service.tools.dead_letters.run import RunResult, carry_out
from service.tools.dead_letters.store import JournalWriter, KafkaDeadLetterStore

BATCH = 100


class HalfwayStore(KafkaDeadLetterStore):
    """Its second transaction never ends."""

    @asynccontextmanager
    async def take_over(self) -> AsyncIterator[JournalWriter]:
        """Take over as ever."""
        async with super().take_over() as writer:
            yield HalfwayJournalWriter(writer)


class HalfwayJournalWriter:
    """Commits once."""

    def __init__(self, writer: JournalWriter) -> None:
        self._journal_writer = writer
        self._commits = 0
        self.marks = writer.marks

    async def commit(self, records: Sequence[OutgoingRecord]) -> None:
        """Commit the first time."""
        self._commits += 1
        if self._commits == 1:
            await self._journal_writer.commit(records)
            return
        producer = self._journal_writer._publisher._producer  # type: ignore[attr-defined]  # from within: only this test stops here
        await producer.begin_transaction()
        await publish(producer, records)
        sys.stdout.write("halfway\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


async def work(settings: Settings) -> None:
    """Send back until the second transaction is open."""
    action = Redrive(settings.topics.uploads, journal_topic(settings.topics), lambda: datetime.now(UTC))
    await carry_out(HalfwayStore(settings), action, DeadLetterFilter(), RunResult(), execute=True, pace=Pace(BATCH))


if __name__ == "__main__":
    asyncio.run(work(Settings.model_validate_json(sys.argv[1])))
