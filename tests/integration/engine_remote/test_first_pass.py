"""A smaller model behind HTTP looks first: its servers may be out at the start, go away and come back."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np

from service.core.availability import EngineAvailability
from service.inference.engine import EngineOutput
from service.inference.factory import build_passes
from service.inference.first_pass.engine import FirstPassEngine
from service.settings.engine import EngineSettings, FirstPassSettings, JudgingSettings
from testing.asking import engine_request
from testing.first_pass import SMALLER_MODEL
from testing.kafka import free_port
from testing.openai_server import ModelServer, model_server
from testing.waiting import wait_until
from tests.integration.engine_remote.remote import settings

PIXELS = np.zeros((64, 96, 3), np.uint8)
PIXELS[0, 0] = (255, 0, 0)
"""The servers see nothing in it, though they are at a loss: most of their answer is no label."""

WAIT_S, TIMEOUT_S = 0.3, 1.0


@asynccontextmanager
async def running(
    main: ModelServer, smaller: str, availability: EngineAvailability | None = None
) -> AsyncIterator[FirstPassEngine]:
    first = FirstPassSettings(kind="openai", openai=settings(smaller), wait_s=WAIT_S, timeout_s=TIMEOUT_S)
    judging = JudgingSettings(min_label_mass=0.0)
    engine = build_passes(
        EngineSettings(kind="openai", openai=settings(main), first_pass=first, judging=judging),
        availability=availability,
    )
    await engine.start()
    await engine.prepare(SMALLER_MODEL)
    try:
        yield engine
    finally:
        await engine.stop()


async def judged(engine: FirstPassEngine) -> EngineOutput:
    return await engine.judge(engine_request(PIXELS, instructions=SMALLER_MODEL))


def outcome(output: EngineOutput) -> str | None:
    return output.first_pass.outcome if output.first_pass else None


async def test_what_a_smaller_model_clears_never_reaches_the_large_one() -> None:
    async with (
        model_server(model="large") as main,
        model_server(model="small") as small,
        running(main, small.url) as engine,
    ):
        before = (main.asked, small.asked)
        output = await judged(engine)
        assert (main.asked - before[0], small.asked - before[1]) == (0, 1)
    assert outcome(output) == "cleared"
    assert output.first_pass is not None
    assert output.first_pass.by is not None
    assert output.first_pass.by.model_name == "small"


async def test_the_start_waits_a_bounded_time_for_servers_that_are_out_and_takes_them_when_they_come() -> None:
    port = free_port()
    async with model_server() as main:
        began_s = time.monotonic()
        async with running(main, f"http://127.0.0.1:{port}") as engine:
            assert WAIT_S <= time.monotonic() - began_s < WAIT_S + 5
            assert outcome(await judged(engine)) == "failed"
            assert engine.warnings()
            async with model_server(port=port):
                await wait_until(lambda: not engine.warnings(), description="the smaller model is found")
                assert outcome(await judged(engine)) == "cleared"


async def test_servers_that_go_away_suspend_nothing_and_are_used_again() -> None:
    port, availability = free_port(), EngineAvailability()
    async with model_server() as main, running(main, f"http://127.0.0.1:{port}", availability) as engine:
        for _ in range(2):
            async with model_server(port=port):
                await wait_until(lambda: not engine.warnings(), description="the smaller model answers")
                assert outcome(await judged(engine)) == "cleared"
            # The first image finds out, within its time limit, and the next ones do not wait.
            assert outcome(await judged(engine)) == "failed"
            await wait_until(lambda: bool(engine.warnings()), description="the smaller model is out")
            began_s = time.monotonic()
            assert outcome(await judged(engine)) == "failed"
            assert time.monotonic() - began_s < TIMEOUT_S
            assert availability.is_available
            assert engine.load().is_reachable
