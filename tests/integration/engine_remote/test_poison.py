"""Requests that servers die of: found among their neighbours, and given up alone."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from service.core.errors import EnginePoisonError
from service.core.losses import EngineLosses
from service.inference.openai.model import OpenAIModel
from service.inference.vision.prompt import Prompt
from service.inference.vision.token_model import ModelRequest
from testing.openai_server import ModelServer, model_server
from testing.waiting import wait_until
from tests.integration.engine_remote.remote import LABELS, ask, started

WELL = dict
WORDS = {label: ord(label) for label in LABELS}
POISON = "of this it dies"


def asked(caption: str, losses: EngineLosses | None = None) -> ModelRequest:
    return ModelRequest("test", Prompt("Judge.", caption), ask().pixels, caption, None, losses or EngineLosses())


async def read_side_by_side(model: OpenAIModel, count: int, server: ModelServer) -> Sequence[object]:
    """Ask about the poison while so many others are in flight; return its end, then theirs."""
    server.hold.clear()
    others = [asyncio.create_task(model.read(asked(f"other {number}"), WORDS), name="other") for number in range(count)]
    await wait_until(lambda: server.in_flight == count, description="the others are in flight")
    poison = asyncio.create_task(model.read(asked(POISON), WORDS), name="poison")
    await wait_until(lambda: server.deaths > 0, description="the server dies of it")
    server.hold.set()
    return await asyncio.wait_for(asyncio.gather(poison, *others, return_exceptions=True), 20)


async def test_a_request_that_servers_die_of_is_given_up_after_it_was_alone_and_takes_no_other_with_it() -> None:
    async with model_server(dies_of=POISON) as server, started(server) as (model, _):
        poison, *others = await read_side_by_side(model, 10, server)
        assert isinstance(poison, EnginePoisonError)
        assert [end for end in others if not isinstance(end, WELL)] == []
        assert server.deaths == 7, "once among others, and six times alone: it is back at once, as behind a balancer"


async def test_it_takes_no_more_servers_of_a_large_fleet() -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(model_server(dies_of=POISON)) for _ in range(6)]
        model, _ = await stack.enter_async_context(started(*servers))
        with pytest.raises(EnginePoisonError, match="again and again with this record alone"):
            await asyncio.wait_for(model.read(asked(POISON), WORDS), 20)
        assert sum(server.deaths for server in servers) == 7


async def test_a_server_that_stays_away_counts_whole() -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(model_server(dies_of=POISON, stays_dead_s=0.5)) for _ in range(2)]
        model, _ = await stack.enter_async_context(started(*servers))
        with pytest.raises(EnginePoisonError):
            await asyncio.wait_for(model.read(asked(POISON), WORDS), 20)
        assert sum(server.deaths for server in servers) == 4, "once among others, and three times alone"


async def test_losses_count_over_attempts() -> None:
    async with model_server(dies_of=POISON) as server, started(server) as (model, _):
        with pytest.raises(EnginePoisonError):
            await asyncio.wait_for(model.read(asked(POISON, EngineLosses(1, 2.5)), WORDS), 20)
        assert server.deaths == 1


async def test_a_suspect_has_its_server_to_itself_and_is_answered_while_others_come() -> None:
    async with model_server() as server, started(server) as (model, _):
        crowd: list[int] = []

        async def others() -> None:
            for number in range(40):
                await model.read(asked(f"other {number}"), WORDS)

        async def suspects() -> None:
            for number in range(5):
                server.watched = f"suspect {number}"
                await model.read(asked(f"suspect {number}", EngineLosses(1)), WORDS)
                crowd.append(server.company)

        await asyncio.wait_for(asyncio.gather(*(others() for _ in range(8)), suspects()), 20)
        assert crowd == [0] * 5


async def test_connections_that_break_now_and_then_cost_no_request() -> None:
    async with model_server() as server, started(server) as (model, _):
        server.breaks_every = 3
        reads = (model.read(asked(f"{number}"), WORDS) for number in range(100))
        ends = await asyncio.wait_for(asyncio.gather(*reads, return_exceptions=True), 30)
        assert [end for end in ends if not isinstance(end, WELL)] == []
