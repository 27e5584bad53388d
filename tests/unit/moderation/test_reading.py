"""Events that were not read when they were received are read in turns with everything else."""

import asyncio
import time

from service.core.records import SourceRecord
from service.delivery.handler import Job
from service.events.codec_errors import EventInvalidError
from service.moderation.reading import EventReader
from service.telemetry.record_trace import RecordTrace
from testing.resources import NotedResources


async def test_the_event_loop_turns_between_events_that_take_long_to_read() -> None:
    now_s, turns = 0.0, 0

    def clock() -> float:
        nonlocal now_s
        now_s += 0.006  # a reading looks twice
        return now_s

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    record = SourceRecord("images.uploaded", 3, 17, 0, b"key", b"[]", ())
    job = Job(record, 1, time.perf_counter(), NotedResources(), RecordTrace.untraced())
    reader = EventReader(clock=clock)
    turning = asyncio.create_task(turn())
    outcomes = await asyncio.gather(*(reader.read(job) for _ in range(20)), return_exceptions=True)
    turning.cancel()
    assert [type(outcome) for outcome in outcomes] == [EventInvalidError] * 20
    assert turns >= 10
