"""Several servers, some of them slow, busy, dead or back again."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from service.inference.errors import AdapterMissingError, EngineConfigurationError, EngineRejectedError
from service.inference.openai.errors import ServerSilentError
from testing.openai_server import KEY, ModelServer, model_server
from testing.waiting import wait_until
from tests.integration.engine_remote.remote import LABELS, QUICK, ask, read_many, started

WELL = dict


async def two_servers(stack: AsyncExitStack) -> tuple[ModelServer, ModelServer]:
    return await stack.enter_async_context(model_server()), await stack.enter_async_context(model_server())


async def test_an_idle_fleet_shares_the_work_evenly() -> None:
    async with AsyncExitStack() as stack:
        first, second = await two_servers(stack)
        model, facts = await stack.enter_async_context(started(first, second, max_in_flight=10))
        assert facts.concurrency == 20
        # All are asked before any is answered: else the quicker server would rightly get more.
        first.hold.clear()
        second.hold.clear()
        task = asyncio.create_task(read_many(model, 20), name="read")
        await wait_until(lambda: first.asked + second.asked == 20, description="all are asked")
        assert (first.asked, second.asked) == (10, 10)
        first.hold.set()
        second.hold.set()
        assert all(isinstance(answer, WELL) for answer in await task)


async def test_a_slow_server_gets_less() -> None:
    async with AsyncExitStack() as stack:
        slow, quick = await two_servers(stack)
        model, _ = await stack.enter_async_context(started(slow, quick, max_in_flight=4))
        slow.hold.clear()
        task = asyncio.create_task(read_many(model, 40), name="read")
        await wait_until(lambda: quick.asked == 36, description="the quick server did everything else")
        slow.hold.set()
        assert all(isinstance(answer, WELL) for answer in await task)
        assert slow.asked == 4


async def test_no_server_has_more_in_flight_than_it_may() -> None:
    async with AsyncExitStack() as stack:
        first, second = await two_servers(stack)
        model, _ = await stack.enter_async_context(started(first, second, max_in_flight=3))
        await read_many(model, 50)
        assert max(first.most_in_flight, second.most_in_flight) <= 3


@pytest.mark.parametrize("code", [429, 500, 503, 401, 404])
async def test_what_one_server_cannot_do_another_does(code: int) -> None:
    async with AsyncExitStack() as stack:
        ill, well = await two_servers(stack)
        model, _ = await stack.enter_async_context(started(ill, well))
        ill.status = code
        assert all(isinstance(answer, WELL) for answer in await read_many(model, 20))


async def test_a_request_that_is_refused_is_not_asked_elsewhere() -> None:
    async with AsyncExitStack() as stack:
        first, second = await two_servers(stack)
        model, _ = await stack.enter_async_context(started(first, second))
        first.status = second.status = 400
        first.spares_checks = second.spares_checks = True
        (answer,) = await read_many(model, 1)
        assert isinstance(answer, EngineRejectedError)
        assert first.asked + second.asked == 1


async def test_a_failing_server_is_ejected_and_returns_when_it_is_well() -> None:
    async with AsyncExitStack() as stack:
        ill, well = await two_servers(stack)
        model, _ = await stack.enter_async_context(started(ill, well, eject_after=2))
        ill.status = 500

        async def is_spared() -> bool:
            asked = ill.asked
            assert all(isinstance(answer, WELL) for answer in await read_many(model, 20))
            return ill.asked == asked

        await wait_until(is_spared, description="the failing server is asked no more")
        asked = ill.asked
        ill.status = ill.health = 200

        async def is_back() -> bool:
            await read_many(model, 4)
            return ill.asked > asked

        await wait_until(is_back, description="the server that is well again is asked")


async def test_a_busy_server_is_not_ejected() -> None:
    async with AsyncExitStack() as stack:
        busy, well = await two_servers(stack)
        model, _ = await stack.enter_async_context(started(busy, well, eject_after=1))
        busy.status = 429
        await read_many(model, 20)
        asked = busy.asked

        async def is_asked_again() -> bool:
            await read_many(model, 4)
            return busy.asked > asked

        await wait_until(is_asked_again, description="the busy server gets another chance")


async def test_a_server_that_says_it_is_dead_is_ejected_before_a_request_fails() -> None:
    async with AsyncExitStack() as stack:
        dead, well = await two_servers(stack)
        model, _ = await stack.enter_async_context(started(dead, well))
        dead.health = 503

        async def is_spared() -> bool:
            asked = dead.asked
            await read_many(model, 4)
            return dead.asked == asked

        await wait_until(is_spared, description="the dead server is asked no more")


async def test_a_server_without_a_path_for_health_is_used() -> None:
    async with model_server(health=404) as server, started(server) as (model, _):
        await asyncio.sleep(3 * QUICK["health_interval_s"])
        assert all(isinstance(answer, WELL) for answer in await read_many(model, 4))


async def test_a_server_that_hangs_gets_one_request_at_a_time_in_the_end() -> None:
    async with AsyncExitStack() as stack:
        hanging = await stack.enter_async_context(model_server(spares_checks=True))
        well = await stack.enter_async_context(model_server())
        model, _ = await stack.enter_async_context(started(hanging, well, request_timeout_s=0.2))
        hanging.hold.clear()

        async def gets_one_at_a_time() -> bool:
            hanging.most_in_flight = 0
            answers = await read_many(model, 8)
            assert all(isinstance(answer, WELL) for answer in answers)
            return hanging.most_in_flight == 1

        await wait_until(gets_one_at_a_time, description="the hanging server gets one request at a time")


async def test_a_fleet_that_is_away_is_waited_for_without_limit_and_no_request_fails() -> None:
    async with model_server() as server, started(server, max_in_flight=2) as (model, _):
        server.status = server.health = 500
        assert model.is_reachable()
        waiting = asyncio.create_task(read_many(model, 20), name="read")
        await wait_until(lambda: not model.is_reachable(), description="the server is ejected")
        asked = server.asked
        await asyncio.sleep(10 * QUICK["max_return_after_s"])
        assert not waiting.done()
        # Of the two requests in flight one may still have been on its way.
        assert server.asked <= asked + 1, "an ejected server is asked the service's own questions alone"
        server.status = server.health = 200
        assert all(isinstance(answer, WELL) for answer in await asyncio.wait_for(waiting, 10))
        assert model.is_reachable()


async def test_a_fleet_that_comes_and_goes_costs_no_request() -> None:
    async with AsyncExitStack() as stack:
        servers = await two_servers(stack)
        model, _ = await stack.enter_async_context(started(*servers, eject_after=1))

        async def flap() -> None:
            for turn in range(12):
                for number, server in enumerate(servers):
                    server.status = 200 if (turn + number) % 3 == 0 else 502
                await asyncio.sleep(0.1)
            for server in servers:
                server.status = 200

        flapping = asyncio.create_task(flap(), name="flap")
        while not flapping.done():
            answers = await asyncio.wait_for(read_many(model, 20), 20)
            assert [answer for answer in answers if not isinstance(answer, WELL)] == []


async def test_a_server_that_is_slow_and_answers_is_not_ejected() -> None:
    async with model_server(spares_checks=True) as server, started(server, request_timeout_s=0.2) as (model, _):
        server.hold.clear()
        answers = await read_many(model, 3)
        assert {type(answer) for answer in answers} == {ServerSilentError}
        assert model.is_reachable()


async def test_a_server_that_hangs_while_its_health_is_well_is_ejected_and_nothing_fails() -> None:
    async with model_server() as server, started(server, request_timeout_s=1.0) as (model, _):
        server.hold.clear()
        waiting = asyncio.create_task(read_many(model, 5), name="read")
        await wait_until(lambda: not model.is_reachable(), description="the hanging server is ejected")
        server.hold.set()
        assert all(isinstance(answer, WELL) for answer in await asyncio.wait_for(waiting, 10))


async def test_an_adapter_that_one_server_lacks_is_asked_of_another_and_costs_other_policies_nothing() -> None:
    async with AsyncExitStack() as stack:
        lacking = await stack.enter_async_context(model_server())
        having = await stack.enter_async_context(model_server(adapters=("fashion",)))
        model, _ = await stack.enter_async_context(started(lacking, having, model="painted"))
        words = await model.prepare("fashion", LABELS)
        for number in range(6):
            assert isinstance(await model.read(ask(key=f"{number}", adapter="fashion"), words), WELL)
        having.adapters = ()
        with pytest.raises(AdapterMissingError, match="'fashion' is not served"):
            await model.read(ask(adapter="fashion"), words)
        assert model.is_reachable()
        assert all(isinstance(answer, WELL) for answer in await read_many(model, 8))


async def test_a_request_that_gives_up_waiting_leaves_its_place_to_others() -> None:
    async with model_server() as server, started(server, max_in_flight=1) as (model, _):
        words = await model.prepare(None, LABELS)
        server.hold.clear()
        tasks = [asyncio.create_task(model.read(ask(), words), name=f"read {number}") for number in range(6)]
        await wait_until(lambda: server.in_flight == 1, description="one is in flight")
        for task in tasks[:5]:
            task.cancel()
        server.hold.set()
        assert isinstance(await asyncio.wait_for(tasks[5], 5), WELL)


async def test_a_server_that_is_away_at_the_start_joins_later() -> None:
    async with AsyncExitStack() as stack:
        async with model_server() as late:
            port = int(late.url.rpartition(":")[2])
        well = await stack.enter_async_context(model_server())
        model, _ = await stack.enter_async_context(started(late.url, well))
        late = await stack.enter_async_context(model_server(port=port))

        async def joined() -> bool:
            await read_many(model, 4)
            return late.asked > 0

        await wait_until(joined, description="the server that came later is asked")


@pytest.mark.parametrize(
    ("replacement", "reported"),
    [({"model": "another"}, "serves another, not painted"), ({"sources": ("top",)}, "offers less (top)")],
)
async def test_a_server_that_was_replaced_by_another_kind_is_refused(
    replacement: dict[str, Any], reported: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with AsyncExitStack() as stack:
        well = await stack.enter_async_context(model_server())
        async with model_server() as leaving:
            port = int(leaving.url.rpartition(":")[2])
            model, _ = await stack.enter_async_context(started(leaving, well, eject_after=1, model="painted"))
        await read_many(model, 8)
        other = await stack.enter_async_context(model_server(port=port, **replacement))
        seen = ""

        def is_refused() -> bool:
            nonlocal seen
            seen += "".join(capsys.readouterr())
            return "engine.server_refused" in seen and reported in seen

        await wait_until(is_refused, description="the replacement is refused")
        await read_many(model, 8)
        assert other.asked == 0


async def test_a_server_that_vanishes_costs_no_request() -> None:
    async with AsyncExitStack() as stack:
        well = await stack.enter_async_context(model_server())
        async with model_server() as vanishing:
            model, _ = await stack.enter_async_context(started(vanishing, well))
            await read_many(model, 8)
        assert vanishing.asked == 4
        assert all(isinstance(answer, WELL) for answer in await read_many(model, 20))


async def test_a_fleet_reads_labels_as_its_weakest_server_can() -> None:
    async with AsyncExitStack() as stack:
        best = await stack.enter_async_context(model_server())
        weakest = await stack.enter_async_context(model_server(sources=("top",)))
        _, facts = await stack.enter_async_context(started(best, weakest))
        assert facts.label_source == "top"


async def test_servers_of_different_models_are_no_fleet() -> None:
    async with model_server() as first, model_server(model="another") as second:
        with pytest.raises(EngineConfigurationError, match=r"engine\.openai\.model: .*serves painted.*serves another"):
            async with started(first, second):
                pass


async def test_one_server_that_refuses_the_key_stops_the_start() -> None:
    async with model_server() as first, model_server(key=KEY) as second:
        with pytest.raises(EngineConfigurationError, match=r"engine\.openai\.api_key"):
            async with started(first, second):
                pass
