"""Dead letters of the real stream, sent back: each once, in spite of killed and concurrent runs."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from aiokafka import ConsumerRecord

from service.kafka.connection import KafkaConnection
from service.kafka.errors import ShutOutError, TransactionsNeededError
from service.kafka.topics import ensure_journal, ensure_topics, journal_topic
from service.tools.dead_letters.actions import Discard, Redrive
from service.tools.dead_letters.filters import DeadLetterFilter
from service.tools.dead_letters.rate_limit import Pace
from service.tools.dead_letters.run import RunResult, carry_out
from service.tools.dead_letters.store import JournalNotCompactedError, KafkaDeadLetterStore
from testing.topics import CommittedReader, committed_reader
from tests.integration.delivery.world import World

EVERY = DeadLetterFilter()


class Office:
    """The dead letters of a world, and what was sent back as a consumer of the uploads sees it."""

    def __init__(self, world: World, folder: Path, uploads: CommittedReader) -> None:
        self.world = world
        self.uploads = uploads
        self.mended = folder / "mended"
        self.config = folder / "modstream.yaml"
        self.store = KafkaDeadLetterStore(world.settings)
        self._journal = journal_topic(world.settings.topics)
        self.redrive = Redrive(world.settings.topics.uploads, self._journal, lambda: datetime.now(UTC))

    async def fail(self, count: int, *, reason: str = "rejected") -> None:
        """Have so many uploads become dead letters, which would be judged once `mended` is there."""
        await self.world.publish([{"fail": reason, "mended": str(self.mended)}] * count)
        async with self.world.processor():
            await self.world.every_record_has_one_outcome()

    async def send_back(self, wanted: DeadLetterFilter = EVERY, *, rate: float | None = None) -> RunResult:
        """Do it, here."""
        result = RunResult()
        await carry_out(self.store, self.redrive, wanted, result, execute=True, pace=Pace(rate))
        return result

    async def discard(self, wanted: DeadLetterFilter) -> RunResult:
        """Do it, here."""
        result, move = RunResult(), Discard("a test", self._journal, lambda: datetime.now(UTC))
        await carry_out(self.store, move, wanted, result, execute=True, pace=Pace())
        return result

    async def command(self, *arguments: str) -> asyncio.subprocess.Process:
        """Do it in a process of its own."""
        self.config.write_text(yaml.safe_dump(self.world.settings.model_dump(mode="json")), encoding="utf-8")
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "service", "dead-letters", "redrive", "-c", str(self.config), "--execute", *arguments
        )

    async def kill(self, process: asyncio.subprocess.Process) -> None:
        """End a process as a power cut would."""
        process.send_signal(signal.SIGKILL)
        await process.wait()

    @property
    def sent_back(self) -> list[ConsumerRecord]:
        """What was seen of it so far."""
        return [record for record in self.uploads.records if "modstream-redriven-from" in dict(record.headers)]

    async def sees_sent_back(self, count: int) -> None:
        """Wait until so many were sent back."""
        while len(self.sent_back) < count:
            await self.uploads.until(len(self.uploads.records) + 1)

    async def each_is_sent_back_once(self, numbers: range) -> None:
        """Check that nothing is lost and nothing doubled."""
        await self.uploads.linger(quiet_s=1.0)
        assert Counter(int(record.key) for record in self.sent_back) == Counter(numbers)


@pytest.fixture
async def office(world: World, tmp_path: Path) -> AsyncIterator[Office]:
    """A world whose dead letters are sent back."""
    await ensure_journal(KafkaConnection(world.settings.kafka), world.settings.topics)
    topics = [world.settings.topics.uploads]
    async with committed_reader(world.settings.kafka.bootstrap_servers, topics) as uploads:
        yield Office(world, tmp_path, uploads)


@pytest.mark.docker
async def test_what_is_sent_back_is_judged_and_sent_once_however_often_it_is_asked_for(office: Office) -> None:
    await office.fail(20)
    office.mended.touch()
    assert (await office.send_back()).done == 20
    again = await office.send_back()
    assert (again.done, again.done_before) == (0, 20)
    async with office.world.processor():
        await office.world.outcomes(40)
        await office.world.reader.linger(quiet_s=1.0)
    verdicts = office.world.reader.of(office.world.settings.topics.verdicts)
    assert Counter(int(record.key) for record in verdicts) == Counter(range(20))
    await office.each_is_sent_back_once(range(20))


@pytest.mark.docker
async def test_what_fails_again_is_a_letter_of_its_own_that_says_how_often_it_was_sent(office: Office) -> None:
    await office.fail(3)
    await office.send_back()
    async with office.world.processor():
        await office.world.outcomes(6)
    second = await office.send_back()
    assert (second.done, second.done_before, second.redrives) == (3, 3, Counter({1: 3}))
    await office.sees_sent_back(6)
    assert Counter(dict(record.headers)["modstream-redrives"] for record in office.sent_back) == {b"1": 3, b"2": 3}


@pytest.mark.docker
async def test_a_filter_leaves_the_others_for_later(office: Office) -> None:
    await office.fail(5)
    await office.fail(7, reason="transient")
    assert (await office.send_back(DeadLetterFilter(reasons=("test.tran*",)))).done == 7
    assert (await office.discard(DeadLetterFilter(partitions=frozenset({0})))).done_before > 0
    rest = await office.send_back()
    assert rest.reasons.keys() <= {"test.rejected"}
    marks = await office.store.marks()
    assert len(marks) == 12


@pytest.mark.docker
async def test_a_kill_in_the_middle_of_a_transaction_loses_and_doubles_nothing(office: Office) -> None:
    await office.fail(700)
    halfway = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "testing.halfway_redrive", office.world.settings.model_dump_json()),
        stdout=asyncio.subprocess.PIPE,
    )
    assert halfway.stdout is not None
    assert await halfway.stdout.readline() == b"halfway\n"
    await office.kill(halfway)
    slow = await office.command("--rate", "150")
    await office.sees_sent_back(100 + 150)
    await office.kill(slow)
    rest = await office.send_back()
    assert 0 < rest.done < 700 - 100 - 150 + 1
    await office.sees_sent_back(700)
    await office.each_is_sent_back_once(range(700))


@pytest.mark.docker
async def test_who_comes_second_shuts_out_who_came_first_and_nothing_is_sent_twice(office: Office) -> None:
    await office.fail(1000)
    first = asyncio.create_task(office.send_back(rate=100))
    await office.sees_sent_back(100)
    second = await office.send_back()
    with pytest.raises(ShutOutError):
        await first
    assert 0 < second.done < 1000
    await office.each_is_sent_back_once(range(1000))


@pytest.mark.docker
async def test_a_journal_that_forgets_is_refused(world: World) -> None:
    await ensure_topics(
        KafkaConnection(world.settings.kafka), {"journal": journal_topic(world.settings.topics)}, partitions=1
    )
    with pytest.raises(JournalNotCompactedError, match=r"cleanup\.policy=compact"):
        async with KafkaDeadLetterStore(world.settings).take_over():
            pass


async def test_a_broker_without_transactions_shows_letters_and_refuses_to_send_them(small_world: World) -> None:
    await small_world.publish([{"fail": "rejected"}])
    async with small_world.processor():
        await small_world.outcomes(1)
    store = KafkaDeadLetterStore(small_world.settings)
    async with store.read(EVERY) as snapshot:
        assert [record.key async for records in snapshot.batches() for record in records] == [b"0"]
    async with store.read(DeadLetterFilter(partitions=frozenset({99}))) as snapshot:
        assert [records async for records in snapshot.batches()] == []
    with pytest.raises(TransactionsNeededError, match="needs Apache Kafka"):
        async with store.take_over():
            pass
