"""The embedded broker: no transactions, nothing lost."""

import signal

from tests.integration.delivery.world import World


async def test_every_record_gets_its_outcome(small_world: World) -> None:
    await small_world.publish([{}] * 50 + [{"fail": "rejected"}])
    async with small_world.processor():
        await small_world.every_record_has_one_outcome()


async def test_a_second_process_goes_on_where_the_first_stopped(small_world: World) -> None:
    await small_world.publish([{}] * 20)
    async with small_world.processor():
        await small_world.outcomes(20)
    await small_world.publish([{}] * 20)
    async with small_world.processor() as handler:
        await small_world.every_record_has_one_outcome()
    assert len(handler.jobs) == 20


async def test_a_crash_loses_nothing(small_world: World) -> None:
    await small_world.publish([{"sleep_s": 0.2}] * 4000)
    with small_world.worker() as worker:
        await small_world.outcomes(500)
        worker.signal(signal.SIGKILL)
        await worker.end()
    assert len(small_world.reader.records) < 4000
    with small_world.worker():
        while len({record.key for record in small_world.reader.records}) < 4000:
            await small_world.reader.until(len(small_world.reader.records) + 1)
