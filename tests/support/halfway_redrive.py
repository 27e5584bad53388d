"""`python -m tests.support.halfway_redrive SETTINGS_JSON`: sends letters back, and stops in its second transaction.

The first 100 letters are committed, the next 100 are published in a transaction that stays open. Then it says so on
standard output, and waits to be killed.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from service.letters.desk import KafkaDesk, Ledger
from service.letters.filters import LetterFilter
from service.letters.moves import Redrive
from service.letters.pace import Pace
from service.letters.work import Tally, carry_out
from service.settings import Settings
from service.stream.publishing import publish
from service.stream.records import OutgoingRecord
from service.stream.topics import journal_topic

BATCH = 100


class HalfwayDesk(KafkaDesk):
    """Its second transaction never ends."""

    @asynccontextmanager
    async def take_over(self) -> AsyncIterator[Ledger]:
        """Take over as ever."""
        async with super().take_over() as ledger:
            yield HalfwayLedger(ledger)


class HalfwayLedger:
    """Commits once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._commits = 0
        self.marks = ledger.marks

    async def commit(self, records: Sequence[OutgoingRecord]) -> None:
        """Commit the first time."""
        self._commits += 1
        if self._commits == 1:
            await self._ledger.commit(records)
            return
        producer = self._ledger._publisher._producer  # type: ignore[attr-defined]  # from within: nobody else stops here
        await producer.begin_transaction()
        await publish(producer, records)
        sys.stdout.write("halfway\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


async def work(settings: Settings) -> None:
    """Send back until the second transaction is open."""
    move = Redrive(settings.topics.uploads, journal_topic(settings.topics), lambda: datetime.now(UTC))
    await carry_out(HalfwayDesk(settings), move, LetterFilter(), Tally(), execute=True, pace=Pace(BATCH))


if __name__ == "__main__":
    asyncio.run(work(Settings.model_validate_json(sys.argv[1])))
