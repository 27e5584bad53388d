"""Servers and gateways that differ from what OpenAI's API promises: found out, and named, before the first image."""

import asyncio

import pytest

from service.inference.errors import EngineConfigurationError, UnknownAdapterError
from service.inference.openai.model import OpenAIModel
from testing.openai_server import model_server
from testing.waiting import wait_until
from tests.integration.engine_remote.remote import LABELS, ask, large, read, settings, started

PAINTED = pytest.approx({"A": 0.2, "B": 0.1, "C": 0.05})


@pytest.mark.parametrize("refusal", [404, 413, 400])
async def test_a_gateway_that_refuses_large_requests_is_found_out_at_the_start(refusal: int) -> None:
    async with model_server(max_body_bytes=100_000, too_large=refusal) as server, started(server) as (model, _):
        await model.prepare(None, LABELS, ask())
        with pytest.raises(EngineConfigurationError, match=r"largest one, of 1,0\d\d,\d\d\d bytes and 512 × 512"):
            await model.prepare(None, LABELS, large())


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_that_fails_for_a_moment_at_the_start_is_waited_for(status: int) -> None:
    async with model_server() as server, started(server) as (model, _):
        server.status = status
        asked = len(server.bodies)
        preparing = asyncio.create_task(model.prepare(None, LABELS, large()))
        await wait_until(lambda: len(server.bodies) > asked + 1, description="the server is asked again")
        server.status = 200
        assert await preparing == {label: ord(label) for label in LABELS}


async def test_a_server_that_fails_all_through_the_start_is_named() -> None:
    async with model_server() as server, started(server, startup_timeout_s=0.5) as (model, _):
        server.status = 500
        with pytest.raises(EngineConfigurationError, match=r"no server answers in 0\.5 s .*answered 500"):
            await model.prepare(None, LABELS, large())


async def test_a_message_names_the_first_models_of_a_gateway_with_thousands() -> None:
    adapters = tuple(f"adapter-{number}" for number in range(5000))
    async with model_server(adapters=adapters) as server, started(server) as (model, _):
        with pytest.raises(UnknownAdapterError, match=r"adapter-8 and 4991 more") as caught:
            await model.prepare("missing", LABELS)
        assert len(str(caught.value)) < 500


async def test_a_server_that_is_back_behind_a_smaller_gateway_gets_no_requests() -> None:
    async with model_server() as server, started(server, return_after_s=0.05) as (model, _):
        await model.prepare(None, LABELS, large())
        server.max_body_bytes = 100_000
        server.health = 500
        await wait_until(lambda: not model.is_reachable(), description="the server is out")
        server.health = 200
        await wait_until(lambda: server.refused_large > 0, description="the server is tried with the largest question")
        assert not model.is_reachable()


async def test_a_server_with_five_likely_tokens_is_read_with_five() -> None:
    async with model_server(sources=("top",), max_top=5) as server, started(server) as (model, facts):
        assert facts.label_source == "top"
        assert await read(model, ask((200, 100, 50))) == PAINTED
        assert server.bodies[-1]["top_logprobs"] == 5


async def test_a_page_in_place_of_tokens_means_that_a_server_does_not_tokenize() -> None:
    async with model_server(tokens_are_a_page=True, sources=("top",)) as server, started(server) as (_, facts):
        assert facts.label_source == "top"


async def test_an_error_with_status_200_is_named() -> None:
    error = b'{"error":{"message":"upstream is overloaded"}}'
    async with model_server(instead=error) as server:
        model = OpenAIModel(settings(server, startup_timeout_s=0.5))
        with pytest.raises(EngineConfigurationError, match="status 200 and an error: upstream is overloaded"):
            await model.start()
        await model.stop()


async def test_a_log_probability_a_rounding_error_above_zero_is_one() -> None:
    async with model_server(rounding=2e-16) as server, started(server) as (_, facts):
        assert facts.label_source == "exact"
