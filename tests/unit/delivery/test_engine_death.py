"""The processor when its engine dies."""

import asyncio
from collections.abc import Mapping

import pytest

from service.core.errors import EngineDeadError
from service.core.records import OutgoingRecord, Partition
from service.delivery.engine_marks import Marks
from service.delivery.engine_suspects import EngineSuspects
from service.delivery.handler import Job
from service.delivery.offsets import Progress
from service.delivery.processor import Processor
from testing.handlers import SETTINGS
from testing.mark_store import MemoryStore
from testing.memory_stream import TOPIC, MemoryStream, record

PLACE = Partition(TOPIC, 0)


async def test_a_service_whose_engine_dies_leaves_behind_what_was_inside_before_it_leaves_the_group() -> None:
    stream = MemoryStream([record(0), record(1)])
    left: list[bool] = []

    async def handle(job: Job) -> tuple[OutgoingRecord, ...]:
        assert job.delivered is not None
        async with suspects.inside(job.delivered):
            if job.record.offset == 1:
                raise EngineDeadError(detail="a test wants it")
            await asyncio.Event().wait()
        raise AssertionError("nothing lets it go on")

    class NotingStore(MemoryStore):
        async def write(self, marks: Mapping[Partition, str]) -> None:
            left.append(stream.left)
            await super().write(marks)

    store = NotingStore()
    suspects = EngineSuspects(store, settle_s=0.02)
    processor = Processor(SETTINGS, handle, suspects=suspects, connect=stream.connect)
    processor.on_opened(PLACE, Progress(0))
    with pytest.raises(EngineDeadError):
        await asyncio.wait_for(processor.run(), 5)
    assert Marks.decode(store.texts[PLACE]).inside.keys() == {0, 1}
    assert not any(left)
