"""Memory is bounded by the settings, however much waits for its commit."""

import asyncio
import os
from pathlib import Path

import orjson
import pytest

from service.settings.delivery import CommitSettings, WindowSettings
from testing.topics import publish
from tests.integration.delivery.world import World

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

MIB = 1024 * 1024
EVENTS = 150
EVENT_BYTES = 900_000
WINDOW_BYTES = 24 * MIB
WAITING_BYTES = 16 * MIB
MOST_BYTES = WINDOW_BYTES + 2 * WAITING_BYTES
"""As docs/operate.md says; all events together have more than twice as much."""


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process has held so far."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) * 1024


async def test_broken_events_of_a_megabyte_take_no_more_memory_than_the_settings_say(world: World) -> None:
    world.settings = world.settings.model_copy(
        update={
            "window": WindowSettings(max_bytes=WINDOW_BYTES),
            "commit": CommitSettings(max_waiting_bytes=WAITING_BYTES, timeout_s=5.0, transaction_timeout_s=10.0),
        }
    )
    with world.worker() as worker:
        await world.publish([{}])
        await world.outcomes(1)
        before_bytes = peak_bytes(worker.pid)
        order = orjson.dumps({"fail": "rejected", "pad": os.urandom(EVENT_BYTES // 2).hex()})
        address, topic = world.settings.kafka.bootstrap_servers, world.settings.topics.uploads
        for start in range(0, EVENTS, 50):
            await publish(address, topic, [(b"%d" % n, order, ()) for n in range(start, start + 50)])
        async with asyncio.timeout(240):
            await world.outcomes(1 + EVENTS)
        grown_bytes = peak_bytes(worker.pid) - before_bytes
    assert grown_bytes < MOST_BYTES
