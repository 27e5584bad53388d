"""Records that an engine of this process may die of: remembered beyond the process, and judged alone.

An engine that dies takes the process with it, and the record that it died of is read again. So the next owner of the
partition has to know which records were in the engine. They are judged one at a time then, nothing else being in the
engine, and what dies with the same record twice is given up. Nothing is written for a record as long as all goes well.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from types import TracebackType

import structlog

from service.core.errors import EngineDeadError, EnginePoisonError
from service.core.records import Partition, SourceRecord
from service.delivery.engine_marks import HeldPartition, Marks, MarkStore, Suspect
from service.delivery.engine_proof import EngineProof
from service.delivery.engine_turns import EngineTurns
from service.delivery.offsets import Progress

log = structlog.get_logger(__name__)

_POISON_AFTER = 2
"""Deaths with a record alone in the engine until it is given up: one may be an operator's or the kernel's doing."""

_SETTLE_S = 2.0
"""A process that loses a partition takes its mark back within this; one that is still there belongs to a dead one."""

_WATCH_S = 600.0
"""After a process that vanished, what enters the engine is written down before, for so long: a record that ends
processes without a trace does so again as soon as it is read again."""


_PROOF_S = 30.0
"""How long a record that was alone at a death waits for another one to be judged well. After that the engine has to
judge an image of the service's own: one that dies of everything must not make dead letters."""


class EngineSuspects:
    """Admits records to the engine, and knows which records are in it."""

    def __init__(
        self, store: MarkStore, *, settle_s: float = _SETTLE_S, watch_s: float = _WATCH_S, proof_s: float = _PROOF_S
    ) -> None:
        self._store = store
        self._settle_s = settle_s
        self._watch_s = watch_s
        self._held: dict[Partition, HeldPartition] = {}
        self._changed: set[Partition] = set()
        self._saving = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = EngineTurns()
        self.proof = EngineProof(self._turns, wait_s=proof_s)
        self._engine_died = False
        self._is_failing = False

    def inside(self, record: SourceRecord) -> "Stay":
        """Return the context in which a record, as it was delivered, is judged.

        Entering waits for the record's turn, and raises `EnginePoisonError` for one that engines die of.
        """
        return Stay(self, record)

    def opened(self, partition: Partition, progress: Progress) -> None:
        """Read the marks of earlier owners of a partition; its records wait for that before they enter the engine."""
        if partition not in self._held:
            self._held[partition] = HeldPartition(progress)
            self._begin(self._learn(partition))

    def keep_only(self, partitions: frozenset[Partition]) -> None:
        """Release all other partitions to their new owners."""
        lost = {partition: self._held.pop(partition) for partition in self._held.keys() - partitions}
        if lost:
            texts = {partition: held.marks(is_running=False).encode() for partition, held in lost.items()}
            self._begin(self._write(texts))

    def committed(self, partition: Partition, offsets: Iterable[int]) -> None:
        """Remove suspects whose outcomes are committed; other records are ignored."""
        held = self._held.get(partition)
        if held is None or not held.suspects:
            return
        for offset in offsets:
            held.suspects.pop(offset, None)
        if not held.suspects:
            self._begin(self._save(partition))

    def note_death(self) -> None:
        """Record that the engine died with the records that are in it."""
        self._engine_died = True

    async def close(self) -> None:
        """Store the marks for the next owners before they get the partitions."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        texts = {
            partition: held.marks(is_running=self._engine_died and bool(held.inside)).encode()
            for partition, held in self._held.items()
            if held.known.is_set()
        }
        self._held.clear()
        if texts:
            await self._write(texts)

    def enter_at_once(self, record: SourceRecord) -> bool:
        """Admit a record if there is nothing to wait for and nothing to store: the usual case, which must be cheap."""
        held = self._held.get((record.topic, record.partition))  # type: ignore[call-overload]  # equals a Partition
        if held is None or not held.is_at_ease or not self._turns.share_at_once():
            return False
        held.inside[record.offset] = record.timestamp_ms
        return True

    async def enter(self, record: SourceRecord) -> bool:
        """Admit a record when it is its turn; return whether it is alone in the engine."""
        partition = Partition(record.topic, record.partition)
        held = self._held.get(partition)
        if held is not None:
            await held.known.wait()
            suspect = held.suspects.get(record.offset)
            if suspect is not None and suspect.timestamp_ms in {0, record.timestamp_ms}:
                await self._enter_alone(held, record, suspect)
                return True
        await self._turns.share()
        if held is not None:
            held.inside[record.offset] = record.timestamp_ms
            if self._is_watched(held):
                await self._save_or_leave(partition, held, record)
        return False

    async def leave(self, record: SourceRecord, failure: BaseException | None, *, is_alone: bool) -> None:
        """End the turn of a record. A record with which the engine died stays inside."""
        if isinstance(failure, EngineDeadError):
            self._engine_died = True
        if self._engine_died:
            return
        partition = Partition(record.topic, record.partition)
        held = self._held.get(partition)
        if held is not None:
            held.inside.pop(record.offset, None)
        if failure is None:
            self.proof.give()
        if is_alone:
            await self._leave_alone(partition, held, record, has_ended=not isinstance(failure, asyncio.CancelledError))
        self._turns.leave()

    def leave_at_once(self, record: SourceRecord) -> None:
        """Record that a record that entered at once has ended well."""
        held = self._held.get((record.topic, record.partition))  # type: ignore[call-overload]  # as above
        if held is not None:
            held.inside.pop(record.offset, None)
        self.proof.give()
        self._turns.leave()

    async def _enter_alone(self, held: HeldPartition, record: SourceRecord, suspect: Suspect) -> None:
        if suspect.deaths >= _POISON_AFTER:
            raise EnginePoisonError(detail=f"{suspect.deaths} processes ended with it")
        if suspect.deaths:
            await self.proof.wait()
        await self._turns.be_alone()
        held.is_alone, held.inside = True, {record.offset: record.timestamp_ms}
        log.info("engine.suspect_alone", offset=record.offset, deaths=suspect.deaths, suspects=len(held.suspects))
        await self._save_or_leave(Partition(record.topic, record.partition), held, record)

    async def _save_or_leave(self, partition: Partition, held: HeldPartition, record: SourceRecord) -> None:
        """Write down that a record is inside; a record that is given up meanwhile never gets there."""
        try:
            await self._save(partition)
        except BaseException:
            held.inside.pop(record.offset, None)
            held.is_alone = False
            self._turns.leave()
            raise

    async def _leave_alone(
        self, partition: Partition, held: HeldPartition | None, record: SourceRecord, *, has_ended: bool
    ) -> None:
        """Let the next one in only once it is known that this one was not what the engine died of."""
        if held is None:
            return
        held.is_alone = False
        if has_ended:
            held.suspects.pop(record.offset, None)
            await self._save(partition)

    def _is_watched(self, held: HeldPartition) -> bool:
        if held.crashes and asyncio.get_running_loop().time() > held.watched_until_s:
            held.crashes = 0  # it has gone well for long enough; the next text about the partition says so
        return held.crashes > 0

    async def _learn(self, partition: Partition) -> None:
        """Read what earlier owners left behind, and say that this process has the partition now."""
        held = self._held.get(partition)
        if held is None:
            return  # it was lost again before this began
        marks = await self._read(partition)
        watched_until_s = asyncio.get_running_loop().time() + self._watch_s
        if marks.is_running:
            if not marks.suspects and not marks.inside:
                # No record is to be judged alone. Until the last owner's end is known, what enters is written down.
                held.learn(marks.after_crash(), watched_until_s=watched_until_s)
                held.known.set()
            await asyncio.sleep(self._settle_s)
            again = await self._read(partition)
            # What is read may be what was written down here meanwhile.
            marks = (marks if held.is_saved else again).after_crash() if again.is_running else again
        held.learn(marks, watched_until_s=watched_until_s)
        if marks.crashes or marks.suspects:
            log.warning(
                "engine.suspects",
                topic=partition.topic,
                partition=partition.partition,
                suspects=len(held.suspects),
                crashes=marks.crashes,
            )
        await self._save(partition)
        held.known.set()

    async def _read(self, partition: Partition) -> Marks:
        try:
            return Marks.decode((await self._store.read([partition]))[partition])
        except Exception as error:  # noqa: BLE001 - whatever it is, records must not wait for what can't be read
            self._log_failure(error)
            return Marks()

    async def _save(self, partition: Partition) -> None:
        """Write what is known about a partition; what changes meanwhile goes into one more request."""
        self._changed.add(partition)
        async with self._saving:
            if partition not in self._changed:
                return  # another one's request has taken it along
            changed, self._changed = self._changed, set()
            held = {each: self._held[each] for each in changed if each in self._held}
            for kept in held.values():
                kept.is_saved = True
            await self._write({each: kept.marks(is_running=True).encode() for each, kept in held.items()})

    async def _write(self, texts: Mapping[Partition, str]) -> None:
        try:
            await self._store.write(texts)
        except Exception as error:  # noqa: BLE001 - as above
            self._log_failure(error)
        else:
            self._is_failing = False

    def _log_failure(self, error: Exception) -> None:
        """Log that nothing is remembered, once until it is again."""
        if not self._is_failing:
            log.warning("engine.suspects_forgotten", error=error)
        self._is_failing = True

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="engine-suspects")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Stay:
    """A record's time in the engine."""

    __slots__ = ("_is_alone", "_record", "_suspects", "_was_at_ease")

    def __init__(self, suspects: EngineSuspects, record: SourceRecord) -> None:
        self._suspects = suspects
        self._record = record
        self._was_at_ease = False
        self._is_alone = False

    async def __aenter__(self) -> None:
        self._was_at_ease = self._suspects.enter_at_once(self._record)
        if not self._was_at_ease:
            self._is_alone = await self._suspects.enter(self._record)

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._was_at_ease and failure is None:
            self._suspects.leave_at_once(self._record)
        else:
            await self._suspects.leave(self._record, failure, is_alone=self._is_alone)
